// Covers what an operator's rules name, from the first painting of a document on, and says where it
// does not. Runs in a world of its own in every frame, so that the page's scripts do not come across
// it; what that world cannot see it is told of by mask_page.js.
(rules, name) => {
  if (globalThis.exhibitMask) return globalThis.exhibitMask.follow(rules);

  // A sheet serves one document, and a window that was just opened is given another document without
  // losing its world.
  let sheet = null;
  let served = null;
  let parsing = true;
  const roots = new Set();
  let valid = [];
  let any = '';
  // What was found uncovered after it may have been painted, and what stays so.
  let late = 0;
  let bare = new Set();
  // Whether something was found uncovered while a view transition shows what there was when it began.
  let exposed = false;
  // What the sheet was made of.
  let made = '';

  // More changes at a time are looked at as one.
  const MANY = 100;
  // More than any rule of the page says.
  const strong = ':not(#\\_#\\_#\\_#\\_#\\_#\\_#\\_#\\_#\\_)';
  const CLEAR = 'rgba(0, 0, 0, 0)';
  const BLACK = 'rgb(0, 0, 0)';
  // Black on black, whatever an element and what is in it look like; letters are not painted at all.
  const ALL = {
    'background': '#000', 'color': 'transparent', '-webkit-text-fill-color': 'transparent',
    '-webkit-text-stroke': '0 transparent', 'text-decoration-color': 'transparent',
    'text-emphasis-color': 'transparent', 'caret-color': 'transparent', 'text-shadow': 'none',
    'box-shadow': 'none', 'backdrop-filter': 'none', 'transition': 'none', 'animation': 'none',
    'view-transition-name': 'none', 'forced-color-adjust': 'none',
  };
  // Nothing may reach beyond what is covered.
  const OUTER = { 'filter': 'brightness(0)', 'overflow': 'clip', 'outline': 'none' };
  // What is painted apart from what it is in, and what is more than text on a background.
  const APART = `dialog, [popover], :fullscreen, img, picture, video, canvas, iframe, object, embed, input,
    textarea, select, option, optgroup, button, progress, meter, svg`;
  const INNER = { 'filter': 'brightness(0)' };
  const DRAWN = { 'visibility': 'hidden', 'opacity': '0' };
  const PRINTED = { 'visibility': 'hidden' };
  const PSEUDO = ['before', 'after', 'marker', 'placeholder', 'file-selector-button', 'first-line',
    'first-letter', 'selection', 'target-text', 'search-text', 'spelling-error', 'grammar-error',
    'details-content', 'picker(select)', 'picker-icon', 'checkmark', 'column', 'scroll-marker',
    'scroll-marker-group', 'scroll-button(*)'];
  // A page paints texts in colours of its own by what it registers here.
  const highlights = () => (CSS.highlights
    ? [...CSS.highlights.keys()].map(one => `highlight(${CSS.escape(one)})`) : []);
  const said = style => Object.entries(style).map(([key, value]) => `${key}: ${value} !important`).join('; ');
  const cover = rule => {
    const it = `:is(${rule})${strong}`;
    return [
      `${it}, ${it} * { ${said(ALL)} }`,
      ...[...PSEUDO, ...highlights()].map(one => `${it}::${one}, ${it} *::${one} { ${said(ALL)} }`),
      `${it}::picker(select), ${it} *::picker(select) { ${said(INNER)} }`,
      `${it} { ${said(OUTER)} }`,
      `${it} :is(${APART}) { ${said(INNER)} }`,
      `${it}:is(svg *), ${it} svg * { ${said(DRAWN)} }`,
      `@media print { ${it}, ${it} * { ${said(PRINTED)} } }`,
    ].join('\n');
  };

  const write = () => {
    made = highlights().join();
    sheet.replaceSync(valid.map(cover).join('\n'));
  };

  const understood = rule => {
    try {
      document.createDocumentFragment().querySelector(rule);
      return true;
    } catch {
      return false;
    }
  };

  const inSvg = element => element.namespaceURI === 'http://www.w3.org/2000/svg' && element.ownerSVGElement;
  const isText = (style, key) => style[key] === CLEAR;
  // Whether what an element paints is covered; `outer` where it is what a rule names.
  const holds = (element, outer) => {
    const style = getComputedStyle(element);
    // What has no style is not in what is painted.
    if (style.display === 'none' || style.display === '') return true;
    if (inSvg(element)) {
      return style.visibility === 'hidden' || (style.opacity === '0' && style.display !== 'contents');
    }
    const clear = isText(style, 'webkitTextFillColor') && isText(style, 'textDecorationColor')
      && style.textShadow === 'none' && (style.viewTransitionName || 'none') === 'none';
    if (!clear) return false;
    for (const one of ['::before', '::after']) {
      const pseudo = getComputedStyle(element, one);
      if (pseudo.content === 'none' || pseudo.content === 'normal') continue;
      if (!isText(pseudo, 'webkitTextFillColor') || pseudo.backgroundImage !== 'none') return false;
    }
    if (style.display === 'contents') return true;
    if (style.backgroundColor !== BLACK || style.backgroundImage !== 'none') return false;
    return !(outer || element.matches(APART)) || style.filter === 'brightness(0)';
  };
  const put = (element, style) => {
    Object.entries(style).forEach(([key, value]) => element.style.setProperty(key, value, 'important'));
  };
  // What has no box has no filter either, and what the browser or the page highlights of its text would
  // be painted over what covers it.
  const box = element => {
    const block = [...element.children].some(one => {
      const { display } = getComputedStyle(one);
      return display !== 'none' && display !== 'contents' && !/^(inline|ruby)/.test(display);
    });
    put(element, { ...ALL, ...OUTER, 'display': block ? 'block' : 'inline-block' });
  };
  // See to it that an element is covered, whatever the page says of it. Whether it was.
  const hold = (element, outer) => {
    if (outer && !inSvg(element) && getComputedStyle(element).display === 'contents') {
      // Its text was clear, unless something is highlighted by a page that knows how.
      const held = holds(element, outer) && !highlights().length;
      box(element);
      if (getComputedStyle(element).display !== 'contents' && holds(element, outer)) bare.delete(element);
      else bare.add(element);
      return held;
    }
    if (holds(element, outer)) {
      bare.delete(element);
      return true;
    }
    if (inSvg(element)) put(element, DRAWN);
    else {
      put(element, ALL);
      if (outer) put(element, OUTER);
      else if (element.matches(APART)) put(element, INNER);
    }
    if (holds(element, outer)) bare.delete(element);
    else bare.add(element);
    return false;
  };
  const href = use => use.getAttribute('href') || use.getAttribute('xlink:href') || '';
  // A drawing that is used elsewhere is painted there, and styled by nobody's rules.
  const used = (root, use) => {
    const target = drawn(root, use);
    return target && (target.closest(any) || target.querySelector(any));
  };
  // The place in this document that a use refers to, also by the document's whole address.
  const drawn = (root, use) => {
    const [path, ...id] = href(use).trim().split('#');
    if (!id.length) return null;
    try {
      const plain = url => url.split('#')[0];
      const isHere = !path || plain(new URL(path, use.baseURI).href) === plain(document.URL);
      return isHere ? root.getElementById(decodeURIComponent(id.join('#'))) : null;
    } catch {
      // What is no address, and what is escaped otherwise: it is looked for as it stands.
      return root.getElementById(id.join('#'));
    }
  };
  // What is painted above everything, wherever it stands.
  const ABOVE = ':modal, :popover-open, :fullscreen, select:open';
  // What leaves that place, and stays there for as long as a transition says.
  let leaving = [];
  const isAbove = element => element.matches(ABOVE) || leaving.includes(element);
  const BOXES = ['block', 'inline-block', 'flex', 'inline-flex', 'grid', 'inline-grid', 'flow-root', 'list-item'];
  // Whether all that is in an element is covered with it, but for what is painted apart.
  const contains = element => {
    const style = getComputedStyle(element);
    return BOXES.includes(style.display) && style.overflowX === 'clip' && holds(element, true);
  };
  // Whether a view transition shows what was there before, of the document or of a part of it.
  let moving = false;
  const isTransition = ({ effect }) => effect && (effect.pseudoElement || '').startsWith('::view-transition');
  const sense = () => {
    const animations = document.getAnimations();
    leaving = animations.filter(one => one.transitionProperty === 'overlay' && one.effect && one.effect.target)
      .map(one => one.effect.target);
    moving = animations.some(isTransition)
      || connected().some(root => root.querySelector(':active-view-transition'));
  };
  // What is to be looked at in `element`, of what is covered.
  const within = element => {
    if (!contains(element) || moving) return [...element.querySelectorAll('*')];
    const above = [...element.querySelectorAll(ABOVE), ...leaving.filter(one => element.contains(one))];
    return above.flatMap(one => [one, ...one.querySelectorAll('*')]);
  };
  // Cover what is not, of `node` and what is in it, for as long as there is time; how much that was.
  const check = (node, until = Infinity) => {
    if (!any || !node.querySelectorAll) return 0;
    if (highlights().join() !== made) write();
    sense();
    const found = look(node, until);
    exposed = moving && (exposed || found > 0);
    return found;
  };
  const look = (node, until) => {
    let found = 0;
    let looked = 0;
    const hide = (element, outer) => {
      if (!hold(element, outer)) found += 1;
      looked += 1;
      return looked % 50 || performance.now() < until;
    };
    const outers = [...node.querySelectorAll(any)];
    if (node instanceof Element && node.matches(any)) outers.unshift(node);
    for (const outer of outers) {
      if (!hide(outer, true) || !within(outer).every(one => hide(one, one.matches(any)))) return found;
    }
    const around = node.parentElement && node.parentElement.closest(any);
    if (around && (!contains(around) || isAbove(node))) {
      if (![node, ...node.querySelectorAll('*')].every(one => hide(one, one.matches(any)))) return found;
    }
    const root = node.getRootNode();
    const uses = root.getElementById ? [...node.querySelectorAll('use')] : [];
    if (node.localName === 'use') uses.push(node);
    uses.filter(use => used(root, use)).every(use => hide(use, true));
    return found;
  };

  // The sheet is in each root that can be reached, the document's and those of its shadows. Whether it
  // was there.
  const reach = root => {
    const there = root.adoptedStyleSheets.includes(sheet);
    if (!there) root.adoptedStyleSheets.push(sheet);
    if (!roots.has(root)) {
      roots.add(root);
      observer.observe(root, {
        childList: true, subtree: true, attributes: true, attributeFilter: ['style', 'class', 'href'],
      });
    }
    return there;
  };
  const connected = () => [...roots].filter(root => root === document || root.isConnected);
  const holdsAny = root => Boolean(any) && root.querySelector(any) !== null;
  // All shadows within `node` that can be reached; how many of them had been bare.
  const walk = node => {
    let found = 0;
    const into = root => {
      if (!reach(root)) {
        if (holdsAny(root)) found += 1;
        check(root);
      }
      each(root);
    };
    const each = inner => inner.querySelectorAll('*').forEach(one => one.shadowRoot && into(one.shadowRoot));
    if (node.shadowRoot) into(node.shadowRoot);
    if (node.querySelectorAll) each(node);
    return found;
  };
  const observer = new MutationObserver(changes => {
    if (served !== document) return ensure();
    roots.forEach(reach);
    if (changes.length > MANY || changes.some(change => change.addedNodes.length > MANY)) {
      walk(document);
      return connected().forEach(root => check(root));
    }
    changes.forEach(change => {
      if (change.type === 'childList') {
        change.addedNodes.forEach(node => {
          walk(node);
          check(node);
        });
      } else if (any && (change.target.localName === 'use' || change.target.closest(any))) {
        check(change.target);
      }
    });
  });
  // A page was told that its shadows and sheets are its own: it changed them before it is painted.
  const changed = event => {
    const node = event.composedPath()[0];
    if (served !== document) return ensure();
    const root = node.shadowRoot || node;
    if (root instanceof Document || root instanceof ShadowRoot) reach(root);
  };
  const ensure = () => {
    let found = 0;
    if (served !== document) {
      served = document;
      parsing = true;
      sheet = new CSSStyleSheet();
      write();
      observer.disconnect();
      roots.clear();
      bare = new Set();
      addEventListener('DOMContentLoaded', ensure);
      addEventListener('load', ensure);
      parse();
    }
    addEventListener(name, changed, true);
    addEventListener('beforeprint', ensure);
    for (const root of [...roots]) {
      if (root !== document && !root.isConnected) continue;
      if (!reach(root) && holdsAny(root)) found += 1;
    }
    reach(document);
    found += walk(document);
    if (!parsing) late += found;
    parsing = document.readyState === 'loading';
  };
  // While a document is read, a shadow in its text comes without a word: look before each painting.
  const parse = () => {
    if (document.readyState !== 'loading') return;
    walk(document);
    requestAnimationFrame(parse);
  };
  // What a page uncovers is covered again; the larger a page is, the less often it is looked at.
  const keep = () => {
    const begun = performance.now();
    const fresh = served !== document || parsing;
    ensure();
    let found = 0;
    connected().forEach(root => { found += check(root, begun + 50); });
    if (!fresh) late += found;
    setTimeout(keep, Math.max(250, 10 * (performance.now() - begun)));
  };

  // Uses of what `rule` names: they are what is seen of it.
  const uses = rule => connected().flatMap(root => (root.getElementById ? [...root.querySelectorAll('use')] : [])
    .filter(use => {
      const target = drawn(root, use);
      return target && !use.matches(rule) && (target.closest(rule) || target.querySelector(rule));
    }));
  const boxOf = element => {
    if (getComputedStyle(element).display !== 'contents') return element.getBoundingClientRect();
    const range = document.createRange();
    range.selectNodeContents(element);
    return range.getBoundingClientRect();
  };

  globalThis.exhibitMask = {
    follow(wanted) {
      rules = wanted;
      valid = rules.filter(understood);
      any = valid.map(rule => `:is(${rule})`).join(', ');
      if (served === document) write();
      ensure();
      connected().forEach(root => check(root));
    },
    // Whether it is an element that a rule names, or in one.
    covers: element => Boolean(any) && element.closest(any) !== null,
    // What is covered now, and where in the frame's window; what was found bare since it was asked last.
    places(most) {
      ensure();
      let found = 0;
      connected().forEach(root => { found += check(root); });
      const all = rule => connected().flatMap(root => [...root.querySelectorAll(rule)]);
      const told = {
        frames: connected().some(root => root.querySelector('iframe, frame, object, embed, fencedframe')),
        scroll: [scrollX, scrollY],
        size: [innerWidth, innerHeight],
        late: late + found,
        bare: [...bare].filter(element => element.isConnected).length + Number(exposed),
        masked: rules.map(rule => {
          if (!valid.includes(rule)) return { rule, valid: false, count: 0, present: false, places: [] };
          const found = [...all(rule), ...uses(rule)];
          const shown = found.map(boxOf).filter(box => box.width > 0 && box.height > 0);
          const places = shown.slice(0, most).map(box => [box.x, box.y, box.width, box.height]);
          return { rule, valid: true, count: shown.length, present: found.length > 0, places };
        }),
      };
      late = 0;
      return told;
    },
  };
  globalThis.exhibitMask.follow(rules);
  setTimeout(keep, 250);
}
