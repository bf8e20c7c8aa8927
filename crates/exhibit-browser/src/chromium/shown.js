// Paints an element in one colour and then in another, so that two pictures tell where it is seen: what
// changes between them is the element, whatever lies over it, and nothing else changes. Runs in a world
// of its own; what it adopts is taken away again, and no element of the page is touched.
() => {
  if (globalThis.exhibitShown) return globalThis.exhibitShown;

  // More than any rule of the page says, and than our masks.
  const strong = ':not(#\\_#\\_#\\_#\\_#\\_#\\_#\\_#\\_#\\_#\\_#\\_#\\_)';
  const STILL = 'transition: none !important';
  // What is painted by more than its style: it is painted through a filter.
  const SHAPED = `progress, meter, input[type=checkbox i], input[type=radio i], input[type=range i],
    input[type=color i], input[type=image i], svg *`;
  const DRAWN = `iframe, frame, embed, object, fencedframe, ${SHAPED}`;
  let adopted = [];
  let element = null;

  const above = one => one.parentElement || (one.getRootNode() instanceof ShadowRoot ? one.getRootNode().host : null);
  const inIt = one => {
    for (let up = one; up; up = above(up)) if (up === element) return true;
    return false;
  };
  const place = one => {
    const parent = one.parentElement;
    return parent ? `${place(parent)} > :nth-child(${[...parent.children].indexOf(one) + 1})` : ':root';
  };
  const shadows = root => [...root.querySelectorAll('*'), ...(root instanceof Element ? [root] : [])]
    .flatMap(one => (one.shadowRoot ? [one.shadowRoot, ...shadows(one.shadowRoot)] : []));
  // Those in the element, also where scripts do not find them for themselves.
  const inner = () => {
    const closed = (globalThis.exhibitClosed || []).filter(root => root.isConnected && inIt(root.host));
    return [...new Set([...shadows(element), ...closed, ...closed.flatMap(shadows)])];
  };
  const adopt = (root, rules) => {
    const known = adopted.find(one => one.root === root);
    const sheet = known ? known.sheet : new CSSStyleSheet();
    sheet.replaceSync(rules);
    if (known) return;
    root.adoptedStyleSheets.push(sheet);
    adopted.push({ root, sheet });
  };
  const said = style => Object.entries(style).map(([key, value]) => `${key}: ${value} !important`).join('; ');
  const inColour = (colour, filter) => (element.matches(DRAWN)
    ? { 'background': colour, 'filter': filter }
    : {
      'background': colour, 'color': colour, '-webkit-text-fill-color': colour, '-webkit-text-stroke': `0 ${colour}`,
      'text-decoration-color': colour, 'text-shadow': 'none', 'border-color': colour, 'border-image': 'none',
      'box-shadow': `inset 0 0 0 99999px ${colour}`, 'object-fit': 'none', 'object-position': '99999px 99999px',
    });
  const COLOURS = {
    black: ['rgb(0, 0, 0)', 'brightness(0)'],
    white: ['rgb(255, 255, 255)', 'brightness(0) invert(1)'],
  };

  globalThis.exhibitShown = {
    // Paint what `selector` matches `black` or `white`, or not at all: how solid it is as the page has
    // it, whether it looks so now, and whether it fills its box. Null for what has no box of its own, or
    // is covered by our masks.
    paint(selector, kind) {
      element = document.querySelector(selector);
      const masks = globalThis.exhibitMask;
      if (!element || getComputedStyle(element).display === 'contents' || (masks && masks.covers(element))) return null;
      let opacity = 1;
      for (let up = element; up; up = above(up)) opacity *= Number(getComputedStyle(up).opacity);
      const it = `${place(element)}${strong}`;
      const parts = ['*', '::before', '::after', '::marker', '::placeholder'];
      const rest = parts.map(one => (one === '*' ? `${it} *` : `${it}${one}, ${it} *${one}`)).join(', ');
      const [colour, filter] = COLOURS[kind] || [];
      if (!colour) adopt(document, `${it} { opacity: 0 !important; ${STILL} }`);
      else {
        adopt(document, `${it} { ${said(inColour(colour, filter))}; ${STILL} }
          ${rest} { opacity: 0 !important; ${STILL} }`);
      }
      inner().forEach(root => adopt(root, colour ? `*${strong} { opacity: 0 !important; ${STILL} }` : `* { ${STILL} }`));
      const now = getComputedStyle(element);
      const fills = now.backgroundColor === colour || (now.boxShadow.includes('inset') && now.boxShadow.includes(colour));
      const takes = !colour ? now.opacity === '0' : element.matches(DRAWN) ? now.filter === filter : fills;
      return { opacity, takes, fills: !element.matches(SHAPED) };
    },

    // Let it look as the page has it, without a transition to there.
    clear() {
      const it = element && element.isConnected ? `${place(element)}${strong}` : '';
      adopted.forEach(({ root, sheet }) => {
        if (root === document) sheet.replaceSync(it ? `${it}, ${it} * { ${STILL} }` : '');
        else sheet.replaceSync(`*${strong} { ${STILL} }`);
      });
      if (it) getComputedStyle(element).color;
      adopted.forEach(({ root, sheet }) => {
        root.adoptedStyleSheets = root.adoptedStyleSheets.filter(one => one !== sheet);
      });
      adopted = [];
    },

    // Whether the element is at each of these points of the page: 1 where it is, 0 where it is not (a
    // rounded corner, a gap between lines), 2 where that cannot be told.
    at(points) {
      if (!element) return points.map(() => 2);
      const sheet = new CSSStyleSheet();
      sheet.replaceSync('* { pointer-events: auto !important }');
      document.adoptedStyleSheets.push(sheet);
      try {
        if (getComputedStyle(element).pointerEvents === 'none') return points.map(() => 2);
        const boxes = [...element.getClientRects()];
        // Between the cells of a row there is nothing of it.
        const isRow = /^table-(row|header|footer)/.test(getComputedStyle(element).display);
        const isAt = one => inIt(one) && !(isRow && one === element);
        const look = (left, top) => {
          if (left < 0 || top < 0 || left >= innerWidth || top >= innerHeight) return 2;
          if (!boxes.some(box => left > box.left && left < box.right && top > box.top && top < box.bottom)) return 0;
          const stack = document.elementsFromPoint(left, top);
          if (stack.some(isAt)) return 1;
          // A modal dialog makes the rest of the page inert, which no point finds.
          return stack.some(one => one.matches('dialog:modal, dialog:modal *')) ? 2 : 0;
        };
        // At an edge there is a part of a pixel only.
        const AROUND = [[0, 0], [-1.5, -1.5], [1.5, -1.5], [-1.5, 1.5], [1.5, 1.5]];
        return points.map(([x, y]) => {
          let told = 1;
          for (const [right, down] of AROUND) {
            if (told === 1) told = look(x - scrollX + right, y - scrollY + down);
          }
          return told;
        });
      } finally {
        document.adoptedStyleSheets = document.adoptedStyleSheets.filter(one => one !== sheet);
      }
    },
  };
  return globalThis.exhibitShown;
}
