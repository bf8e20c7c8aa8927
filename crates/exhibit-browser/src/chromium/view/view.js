// Tells what of a page may be missing in a picture of it, and brings what is missing into the window.
// Runs in a world of its own in the page's main frame, so that the page's scripts do not come across
// it. All boxes are left, top, width and height in CSS pixels from the page's upper left corner.
scrollers => {
  if (globalThis.exhibitView) return globalThis.exhibitView;

  // Smaller than this nobody misses it: a pixel that counts visitors.
  const LEAST = 3;
  // Most boxes of a kind that are told, and most elements whose styles are read one by one before the
  // style sheets are asked whether that is worth while.
  const MOST = 500;
  const FEW = 2000;
  const INSTANT = { behavior: 'instant' };

  // What a person sees as parts of the page: the document, its shadows, and the documents of frames
  // that are of the page's own origin, each with the place of its window.
  const roots = () => {
    const found = [];
    const frames = (root, place, clip) => {
      found.push({ root, place, clip });
      for (const frame of root.querySelectorAll('iframe, frame, object, embed')) {
        const inner = documentOf(frame);
        if (!inner) continue;
        const box = frame.getBoundingClientRect();
        const [x, y] = [place[0] + box.x + frame.clientLeft, place[1] + box.y + frame.clientTop];
        add(inner, [x, y], cut(clip, [x, y, frame.clientWidth, frame.clientHeight]));
      }
    };
    const add = (root, place, clip) => {
      frames(root, place, clip);
      for (const element of root.querySelectorAll('*')) {
        if (element.shadowRoot) add(element.shadowRoot, place, clip);
      }
    };
    // The shadows of the page itself are known already.
    const known = globalThis.exhibitTyped && globalThis.exhibitTyped.roots;
    if (!known) add(document, [scrollX, scrollY], null);
    else [document, ...known()].forEach(root => frames(root, [scrollX, scrollY], null));
    const all = new Set(found.map(({ root }) => root));
    for (const root of closed) {
      if (root.isConnected && root.ownerDocument === document && !all.has(root)) add(root, [scrollX, scrollY], null);
    }
    return found;
  };
  // The closed shadows of the page, which scripts cannot find for themselves.
  let closed = [];
  const documentOf = frame => {
    try {
      return frame.contentDocument || null;
    } catch {
      return null;
    }
  };
  const holdsWindow = frame => frame.contentWindow != null || frame.localName === 'fencedframe';

  const cut = (one, other) => {
    if (!one || !other) return one || other;
    const [x, y] = [Math.max(one[0], other[0]), Math.max(one[1], other[1])];
    const right = Math.min(one[0] + one[2], other[0] + other[2]);
    const bottom = Math.min(one[1] + one[3], other[1] + other[3]);
    return [x, y, Math.max(0, right - x), Math.max(0, bottom - y)];
  };
  // The box of an element, without what its ancestors cut off; null where there is nothing to be seen.
  const boxOf = (element, { place, clip }) => {
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return null;
    const plain = rect => [rect.x + place[0], rect.y + place[1], rect.width, rect.height];
    let box = cut(plain(element.getBoundingClientRect()), clip);
    let style = getComputedStyle(element);
    for (let up = element; ; ) {
      // Where an element is fixed, its ancestors cut nothing off.
      if (style.position === 'fixed') break;
      const parent = up.assignedSlot || up.parentElement || up.getRootNode().host;
      if (!parent || parent === parent.ownerDocument.documentElement) break;
      style = getComputedStyle(parent);
      if (parent !== parent.ownerDocument.body && style.overflowX !== 'visible') {
        box = cut(box, plain(parent.getBoundingClientRect()));
      }
      up = parent;
    }
    return box[2] >= LEAST && box[3] >= LEAST ? box : null;
  };

  const frames = async count => {
    for (let n = 0; n < count; n++) {
      await new Promise(resolve => {
        requestAnimationFrame(resolve);
        setTimeout(resolve, 250);
      });
    }
  };

  // Sections that are skipped because they are away from the window (CSS Containment 2, 4.3).
  const mentions = rules => {
    for (const rule of rules) {
      if (rule.style && rule.style.contentVisibility) return true;
      if (rule.cssRules && rule.cssRules.length && mentions(rule.cssRules)) return true;
    }
    return false;
  };
  const maySkip = root => {
    if (root.querySelector('[style*="content-visibility"]')) return true;
    for (const sheet of [...root.styleSheets, ...root.adoptedStyleSheets]) {
      try {
        if (mentions(sheet.cssRules)) return true;
      } catch {
        // A sheet of another site cannot be read.
        return true;
      }
    }
    return false;
  };
  const skippedIn = root => {
    const all = root.querySelectorAll('*');
    if (all.length > FEW && !maySkip(root)) return [];
    const view = (root.ownerDocument || root).defaultView;
    const found = [];
    for (const element of all) {
      // What is in a skipped section is looked at once that is painted.
      if (found.length && found[found.length - 1].contains(element)) continue;
      if (view.getComputedStyle(element).contentVisibility === 'auto') found.push(element);
    }
    return found;
  };

  const undo = [];
  const kept = [];
  let pinned = null;

  const change = (element, properties) => {
    const before = element.getAttribute('style');
    for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value, 'important');
    undo.push(() => {
      if (before === null) element.removeAttribute('style');
      else element.setAttribute('style', before);
    });
  };
  // An animation changes what is seen of an element, and nothing that a script of the page comes across.
  const cover = (element, keyframes, options = {}) => {
    const animation = element.animate(keyframes, { duration: 1e9, fill: 'both', ...options });
    undo.push(() => animation.cancel());
  };

  const failedImage = element => {
    if (element.localName === 'img') {
      const url = element.currentSrc || element.src;
      if (!url || (element.complete && element.naturalWidth)) return null;
      return { url, reason: element.complete ? 'image_failed' : 'image_not_loaded' };
    }
    if (element.error || element.networkState === 3) {
      return { url: element.currentSrc || element.src, reason: 'media_failed' };
    }
    return null;
  };

  // What has one of the pictures at `urls` as its background, mask, border or mark, or draws it in SVG.
  const withoutPicture = urls => {
    const found = [];
    const quoted = urls.map(url => JSON.stringify(url));
    for (const at of roots()) {
      const view = (at.root.ownerDocument || at.root).defaultView;
      for (const element of at.root.querySelectorAll('*')) {
        if (found.length >= MOST) return found;
        const drawn = element.localName === 'image' && element.href && new URL(element.href.baseVal, element.baseURI).href;
        let url = urls.find(url => url === drawn);
        for (const part of url ? [] : [null, '::before', '::after']) {
          const style = view.getComputedStyle(element, part);
          if (part && style.content === 'none') continue;
          const images = [style.backgroundImage, style.maskImage, style.borderImageSource, style.listStyleImage, style.content];
          const number = quoted.findIndex(text => images.some(image => image && image.includes(text)));
          if (number >= 0) url = urls[number];
        }
        const box = url && boxOf(element, at);
        if (box) found.push({ box, url, reason: 'image_failed' });
      }
    }
    return found;
  };

  const frameOf = (frame, box) => {
    const inner = documentOf(frame);
    const url = frame.src || frame.data || '';
    const elsewhere = !inner && holdsWindow(frame);
    // A frame stays at an empty document until its own has begun.
    const waits = inner && inner.URL === 'about:blank' && /^(https?|blob|data|file):/.test(url)
      && !(inner.body && inner.body.childNodes.length);
    if (!elsewhere && !waits) return null;
    return { box, url, waits: Boolean(waits) };
  };

  const scrollerIn = scrollers(roots, boxOf);

  const lost = () => (globalThis.exhibitLost ? globalThis.exhibitLost.canvases() : []);

  globalThis.exhibitView = {
    // Take note of the closed shadows that these nodes are in.
    know(...inThem) {
      closed = [...new Set(inThem.map(node => node.getRootNode()))].filter(root => root instanceof ShadowRoot);
      globalThis.exhibitClosed = closed;
    },

    // What of the page may be missing. `whole` tells that all of the page is wanted; `failed` are the
    // addresses of pictures that did not come.
    survey(whole, failed) {
      kept.length = 0;
      const found = { frames: [], drawn: [], failed: [], skipped: 0, scroller: null };
      const gone = new Set(lost());
      const selector = 'iframe, frame, object, embed, fencedframe, canvas, video, img';
      for (const at of roots()) {
        found.skipped += skippedIn(at.root).length;
        for (const element of at.root.querySelectorAll(selector)) {
          const { localName } = element;
          if (localName === 'img' && element.complete && element.naturalWidth) continue;
          if (found.frames.length + found.drawn.length + found.failed.length >= MOST) break;
          if (localName === 'canvas' || localName === 'video' || localName === 'img') {
            const failure = gone.has(element)
              ? { reason: 'canvas_lost', url: '' }
              : localName === 'canvas' ? null : failedImage(element);
            if (!failure && localName === 'img') continue;
            const box = boxOf(element, at);
            if (!box) continue;
            if (failure) found.failed.push({ box, ...failure });
            else found.drawn.push({ id: kept.push([element, at]) - 1, box });
          } else {
            const told = frameOf(element, null);
            const box = told && boxOf(element, at);
            if (box) found.frames.push({ ...told, box, id: kept.push([element, at]) - 1 });
          }
        }
      }
      if (failed.length) found.failed.push(...withoutPicture(failed));
      const root = document.scrollingElement || document.documentElement;
      const size = [root ? root.scrollWidth : 0, root ? root.scrollHeight : 0];
      if (whole) {
        const { box, hidden } = scrollerIn([0, 0, ...size]) || {};
        if (box) found.scroller = { box, hidden };
      }
      return { ...found, window: [scrollX, scrollY, innerWidth, innerHeight], size };
    },

    // Scroll through `box` and back, so that what loads only when it comes near the window is there.
    async visit([, y, , height]) {
      const [left, top] = [scrollX, scrollY];
      const end = performance.now() + 10000;
      const waiting = [];
      for (const { root } of roots()) {
        for (const element of root.querySelectorAll('iframe[loading=lazy], img[loading=lazy]')) {
          const waits = element.localName === 'img' ? !element.complete : frameOf(element, null)?.waits;
          if (!waits) continue;
          waiting.push(new Promise(resolve => {
            element.addEventListener('load', resolve, { once: true });
            element.addEventListener('error', resolve, { once: true });
          }));
        }
      }
      for (let at = y; at < y + height && performance.now() < end; at += innerHeight) {
        scrollTo({ left, top: at, ...INSTANT });
        await frames(2);
      }
      const rest = Math.max(0, end - performance.now());
      await Promise.race([Promise.all(waiting), new Promise(resolve => setTimeout(resolve, Math.min(rest, 5000)))]);
      scrollTo({ left, top, ...INSTANT });
      await frames(1);
    },

    // Have all sections painted that are skipped, as they are when they are in the window; how many.
    async render() {
      let count = 0;
      for (let round = 0; round < 8; round++) {
        const found = roots().flatMap(({ root }) => skippedIn(root));
        if (!found.length) break;
        for (const element of found) {
          const { contain } = getComputedStyle(element);
          const more = ['layout', 'style', 'paint'].filter(word => !contain.split(' ').includes(word));
          const all = contain === 'strict' || contain === 'content' ? contain
            : [...(contain === 'none' ? [] : [contain]), ...more].join(' ');
          change(element, { 'content-visibility': 'visible', contain: all });
        }
        count += found.length;
      }
      const pending = [...document.images].filter(image => !image.complete && image.loading !== 'lazy');
      const loaded = pending.map(image => new Promise(resolve => {
        image.addEventListener('load', resolve, { once: true });
        image.addEventListener('error', resolve, { once: true });
      }));
      await Promise.race([Promise.all(loaded), new Promise(resolve => setTimeout(resolve, 5000))]);
      await frames(2);
      return count;
    },

    // Give the areas that scroll by themselves the height of what is in them; how many.
    async expand() {
      let count = 0;
      for (let round = 0; round < 4; round++) {
        const root = document.scrollingElement || document.documentElement;
        const found = scrollerIn([0, 0, root.scrollWidth, root.scrollHeight]);
        if (!found) break;
        const { element, hidden, box, inFrame } = found;
        const height = `${box[3] + hidden}px`;
        const border = element.offsetHeight - element.clientHeight;
        element.scrollTop = 0;
        const sized = { height: `${box[3] + hidden + border}px`, 'max-height': 'none', flex: 'none', 'box-sizing': 'border-box' };
        change(element, inFrame ? sized : { ...sized, overflow: 'visible' });
        let up = element.assignedSlot || element.parentElement || element.getRootNode().host;
        for (; up; up = up.assignedSlot || up.parentElement || up.getRootNode().host) {
          const { position, bottom } = getComputedStyle(up);
          const open = { height: 'auto', 'max-height': 'none', overflow: 'visible' };
          if (position === 'fixed') open.position = 'absolute';
          if (position === 'fixed' || position === 'absolute') open['min-height'] = height;
          if (up !== document.documentElement && up !== document.body && bottom !== 'auto') open.bottom = 'auto';
          change(up, open);
        }
        await frames(1);
        const after = scrollerIn([0, 0, root.scrollWidth, root.scrollHeight]);
        count += 1;
        if (after && after.element === element && after.hidden >= hidden) break;
      }
      await frames(2);
      return count;
    },

    // Take note of what stays in its place while the page is scrolled, and keep the page from choosing
    // where it stops.
    begin() {
      pinned = [];
      const { scrollX: x, scrollY: y } = window;
      for (const { root } of roots()) {
        if ((root.ownerDocument || root) !== document) continue;
        for (const element of root.querySelectorAll('*')) {
          const { position } = getComputedStyle(element);
          if (position !== 'fixed' && position !== 'sticky') continue;
          const rect = element.getBoundingClientRect();
          pinned.push({ element, at: [rect.x + x, rect.y + y], hidden: false });
        }
      }
      for (const element of [document.documentElement, document.body]) {
        if (element) cover(element, { scrollSnapType: ['none', 'none'] });
      }
      undo.push(() => scrollTo({ left: x, top: y, ...INSTANT }));
      undo.push(() => (pinned = null));
    },

    // Bring `box` into the window, so that nothing covers it which was elsewhere before: the part of it
    // that can be seen, where the things with these ids are now, and how much had to be hidden.
    async bring(box, ids) {
      const [x, y, width, height] = box;
      const covers = () => (pinned || []).filter(one => {
        if (one.hidden || !one.element.isConnected) return false;
        const rect = one.element.getBoundingClientRect();
        const moved = Math.abs(rect.x + scrollX - one.at[0]) > 0.5 || Math.abs(rect.y + scrollY - one.at[1]) > 0.5;
        const across = rect.right > x - scrollX && rect.left < x + width - scrollX;
        const down = rect.bottom > 0 && rect.top < innerHeight;
        return moved && across && down && rect.width * rect.height > 0 && one.element.checkVisibility();
      });
      // The highest band of the window that is free of them.
      const band = () => {
        const rects = covers().map(one => one.element.getBoundingClientRect()).sort((a, b) => a.top - b.top);
        let [from, best] = [0, [0, 0]];
        for (const { top, bottom } of [...rects, { top: innerHeight, bottom: innerHeight }]) {
          if (top - from > best[1] - best[0]) best = [from, top];
          from = Math.max(from, bottom);
        }
        return best.map(Math.round);
      };
      const left = x >= scrollX && x + width <= scrollX + innerWidth ? scrollX : Math.max(0, Math.floor(x));
      const go = async top => {
        scrollTo({ left, top: Math.max(0, Math.floor(top)), ...INSTANT });
        await frames(2);
      };
      await go(y);
      const [from, to] = band();
      const enough = to - from >= Math.min(height, innerHeight / 3);
      if (enough && from > 0) await go(y - from);
      let [top, bottom] = band();
      let hidden = 0;
      if (!enough || y < scrollY + top - 1 || y >= scrollY + bottom) {
        for (const one of covers()) {
          one.hidden = true;
          hidden += 1;
          const gone = { opacity: [0, 0], transitionDuration: ['0s', '0s'] };
          cover(one.element, gone);
          if (one.element.matches('dialog, [popover]')) cover(one.element, gone, { pseudoElement: '::backdrop' });
        }
        [top, bottom] = [0, innerHeight];
        await frames(1);
      }
      const shown = cut(box, [scrollX, scrollY + top, innerWidth, bottom - top]);
      return { shown, hidden, ...this.places(ids) };
    },

    // Where the things with these ids are now, and how large the page is.
    places(ids) {
      const root = document.scrollingElement || document.documentElement;
      const at = ids.map(id => {
        // What is no thing of its own is where it was.
        if (!kept[id]) return null;
        const [element, { place, root }] = kept[id];
        const inMain = (root.ownerDocument || root) === document;
        if (!inMain) return null;
        return boxOf(element, { place: [scrollX, scrollY], clip: null });
      });
      return { at, size: [root.scrollWidth, root.scrollHeight] };
    },

    // What a change of layout would change: the page's size, and the boxes of its parts.
    layout() {
      const root = document.scrollingElement || document.documentElement;
      const all = document.querySelectorAll('body *');
      const step = Math.max(1, Math.floor(all.length / 400));
      const sample = [];
      const note = element => {
        const rect = element.getBoundingClientRect();
        sample.push(rect.x + scrollX, rect.y + scrollY, rect.width, rect.height);
      };
      for (let n = 0; n < all.length; n += step) note(all[n]);
      for (const { element } of pinned || []) note(element);
      kept.forEach(([element]) => note(element));
      return [root.scrollWidth, root.scrollHeight, ...sample];
    },

    frames,
    place: () => [scrollX, scrollY, innerWidth, innerHeight],

    // Whether there is something to be seen in `box`: 2 for text or pictures, 1 for what has a colour of
    // its own, 0 for nothing.
    content([x, y, width, height]) {
      const hits = rect => rect.right + scrollX > x && rect.left + scrollX < x + width
        && rect.bottom + scrollY > y && rect.top + scrollY < y + height && rect.width * rect.height > 1;
      const visible = element => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
      for (const { root } of roots()) {
        if ((root.ownerDocument || root) !== document) continue;
        for (const element of root.querySelectorAll('img, svg, canvas, video, iframe, frame, object, embed')) {
          if (hits(element.getBoundingClientRect()) && visible(element)) return 2;
        }
        const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        for (let n = 0; n < 5000 && walker.nextNode(); n++) {
          const { data, parentElement } = walker.currentNode;
          if (!data.trim() || !parentElement || !visible(parentElement)) continue;
          const range = document.createRange();
          range.selectNodeContents(walker.currentNode);
          if (hits(range.getBoundingClientRect())) return 2;
        }
        for (const element of root.querySelectorAll('*')) {
          const { backgroundColor, backgroundImage } = getComputedStyle(element);
          if (backgroundImage !== 'none' || !/^rgba\(.*, 0\)$|^transparent$/.test(backgroundColor)) return 1;
        }
      }
      return 0;
    },

    // Undo all that was changed, the last first.
    async restore() {
      if (globalThis.exhibitShown) globalThis.exhibitShown.clear();
      while (undo.length) {
        try {
          undo.pop()();
        } catch {
          // An element that is gone needs nothing.
        }
      }
      await frames(1);
    },
  };
  return globalThis.exhibitView;
}
