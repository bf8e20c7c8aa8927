// Finds the area of a page that scrolls by itself and that a picture of the page is given over to.
// `roots` are the parts of the page with their places, `boxOf` tells what is seen of an element.
(roots, boxOf) => {
  // CSS pixels that an area may scroll without anything being missed.
  const SLACK = 8;
  const OWN = ['auto', 'scroll'];

  // The largest, wherever it is on a page of this size.
  return ([, , width, height]) => {
    let largest = null;
    const consider = (element, at, scrolled, inFrame) => {
      const hidden = scrolled.scrollHeight - scrolled.clientHeight;
      const { clientWidth: wide, clientHeight: high } = element;
      if (hidden <= SLACK || wide < width / 4 || high < height / 2) return;
      const style = (element.ownerDocument.defaultView || window).getComputedStyle(element);
      if (!inFrame && !OWN.includes(style.overflowY)) return;
      const seen = boxOf(element, at);
      if (!seen) return;
      const rect = element.getBoundingClientRect();
      const box = [at.place[0] + rect.x + element.clientLeft, at.place[1] + rect.y + element.clientTop, wide, high];
      // What lies beside the page or is cut off is not what the picture is of.
      const across = Math.min(seen[0] + seen[2], width) - Math.max(seen[0], 0);
      const down = Math.min(seen[1] + seen[3], height) - Math.max(seen[1], 0);
      if (across < width / 4 || down < height / 2) return;
      if (!largest || wide * high > largest.area) largest = { element, box, hidden, area: wide * high, inFrame };
    };
    const documentOf = frame => {
      try {
        return frame.contentDocument;
      } catch {
        return null;
      }
    };
    for (const at of roots()) {
      const doc = at.root.ownerDocument || at.root;
      for (const element of at.root.querySelectorAll('*')) {
        if (element === doc.scrollingElement || element === doc.documentElement) continue;
        if (['iframe', 'frame', 'object', 'embed'].includes(element.localName)) {
          const inner = documentOf(element);
          if (inner && inner.scrollingElement) consider(element, at, inner.scrollingElement, true);
        } else if (element.scrollHeight > element.clientHeight + SLACK) {
          consider(element, at, element, false);
        }
      }
    }
    return largest;
  };
}
