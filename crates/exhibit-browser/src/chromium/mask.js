// Covers what an operator's rules name, from the first painting of a document on. Runs in a world of
// its own in every frame, so that the page's scripts do not come across it.
rules => {
  if (globalThis.exhibitMask) return globalThis.exhibitMask.follow(rules);

  // A sheet serves one document, and a window that was just opened is given another document without
  // losing its world.
  let sheet = null;
  let served = null;
  const roots = new Set();
  let valid = [];

  // Black on black, whatever an element and what is in it look like; nothing may reach beyond it.
  const cover = rule => `
    :is(${rule}), :is(${rule}) *, :is(${rule})::before, :is(${rule})::after,
    :is(${rule}) ::before, :is(${rule}) ::after {
      background: #000 !important; text-shadow: none !important; box-shadow: none !important;
      backdrop-filter: none !important; transition: none !important; animation: none !important;
    }
    :is(${rule}) { filter: brightness(0) !important; overflow: clip !important; outline: none !important; }
    :is(${rule}):is(svg *), :is(${rule}) svg * { visibility: hidden !important; }
    @media print { :is(${rule}), :is(${rule}) * { visibility: hidden !important; } }
  `;

  const understood = rule => {
    try {
      document.createDocumentFragment().querySelector(rule);
      return true;
    } catch {
      return false;
    }
  };

  // The sheet is in each root that can be reached, the document's and those of its shadows.
  const reach = root => {
    if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet);
    if (!roots.has(root)) {
      roots.add(root);
      observer.observe(root, { childList: true, subtree: true });
    }
  };
  const walk = node => {
    if (node.shadowRoot) {
      reach(node.shadowRoot);
      node.shadowRoot.querySelectorAll('*').forEach(inner => inner.shadowRoot && walk(inner));
    }
    if (node.querySelectorAll) node.querySelectorAll('*').forEach(inner => inner.shadowRoot && walk(inner));
  };
  const keep = () => (served === document ? roots.forEach(reach) : ensure());
  const observer = new MutationObserver(changes => {
    keep();
    changes.forEach(change => change.addedNodes.forEach(walk));
  });
  const ensure = () => {
    if (served !== document) {
      served = document;
      sheet = new CSSStyleSheet();
      sheet.replaceSync(valid.map(cover).join('\n'));
      observer.disconnect();
      roots.clear();
    }
    reach(document);
    walk(document);
  };

  globalThis.exhibitMask = {
    follow(wanted) {
      rules = wanted;
      valid = rules.filter(understood);
      if (served === document) sheet.replaceSync(valid.map(cover).join('\n'));
      ensure();
    },
    // What is covered now, and where in the frame's window.
    places(most) {
      ensure();
      const all = rule => [...roots].flatMap(root => [...root.querySelectorAll(rule)]);
      return {
        frames: [...roots].some(root => root.querySelector('iframe, frame, object, embed, fencedframe')),
        scroll: [scrollX, scrollY],
        size: [innerWidth, innerHeight],
        masked: rules.map(rule => {
          if (!valid.includes(rule)) return { rule, valid: false, count: 0, places: [] };
          const boxes = all(rule).map(element => element.getBoundingClientRect());
          const shown = boxes.filter(box => box.width > 0 && box.height > 0);
          const places = shown.slice(0, most).map(box => [box.x, box.y, box.width, box.height]);
          return { rule, valid: true, count: shown.length, places };
        }),
      };
    },
  };
  globalThis.exhibitMask.follow(rules);
  // A page that replaces the document's sheets loses ours; no event tells of it.
  setInterval(keep, 250);
  addEventListener('DOMContentLoaded', ensure);
  addEventListener('load', ensure);
}
