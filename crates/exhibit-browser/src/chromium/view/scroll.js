// Scrolls through the whole page and back, so that what loads only when it comes into view is loaded,
// and tells where the page shows something only while its window is there: lists that hold just the rows
// in the window, parts that fade away. Answers whether all images came within `limit` milliseconds, and
// boxes in CSS pixels from the page's upper left corner. Runs in a world of its own.
async (limit, by, delay) => {
  // Points of a window that are looked at, across and down; and the part of them that must have lost
  // what was there.
  const ACROSS = 3, DOWN = 8, LOST = 0.4;
  // Most windows that are looked at, and most characters of a text that are compared.
  const WINDOWS = 500, TEXT = 200;

  const end = performance.now() + limit;
  const left = () => Math.max(0, end - performance.now());
  const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
  const frame = () => Promise.race([new Promise(resolve => requestAnimationFrame(resolve)), pause(100)]);
  const to = top => scrollTo({ top, behavior: 'instant' });
  const root = document.scrollingElement || document.documentElement;
  if (!root) return { whole: true, boxes: [] };

  const innermost = (x, y) => {
    let found = document.elementFromPoint(x, y);
    while (found && found.shadowRoot) {
      const inner = found.shadowRoot.elementFromPoint(x, y);
      if (!inner || inner === found) break;
      found = inner;
    }
    return found;
  };
  // What does not go with the page stands elsewhere at the next look, and is missed nowhere.
  const known = new Map();
  const goesWithPage = element => {
    if (!element) return true;
    if (known.has(element)) return known.get(element);
    const { position } = getComputedStyle(element);
    const up = element.assignedSlot || element.parentElement || element.getRootNode().host;
    const goes = position !== 'fixed' && position !== 'sticky' && goesWithPage(up);
    known.set(element, goes);
    return goes;
  };
  const textOf = element => (element.childElementCount ? '' : element.textContent.slice(0, TEXT));
  const isSeen = element => element.isConnected
    && element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

  const windows = [];
  const look = () => {
    if (windows.length >= WINDOWS) return;
    const seen = [];
    for (let row = 0; row < DOWN; row++) {
      for (let column = 0; column < ACROSS; column++) {
        const x = innerWidth * (column + 0.5) / ACROSS, y = innerHeight * (row + 0.5) / DOWN;
        const element = innermost(x, y);
        if (!element || element === root || element === document.body) continue;
        if (isSeen(element) && goesWithPage(element)) seen.push([element, textOf(element)]);
      }
    }
    windows.push({ box: [scrollX, scrollY, innerWidth, innerHeight], seen });
  };

  for (let y = 0; y < root.scrollHeight && left() > 0; y += by || innerHeight) {
    to(y);
    await frame();
    if (delay) await pause(delay);
    look();
  }
  const loaded = image => image.complete || new Promise(resolve => {
    image.addEventListener('load', resolve, { once: true });
    image.addEventListener('error', resolve, { once: true });
  });
  const images = Promise.all(Array.from(document.images, loaded)).then(() => true);
  const whole = await Promise.race([images, pause(left()).then(() => false)]);
  to(0);
  await frame();
  await frame();
  const isLost = ([element, text]) => !isSeen(element) || textOf(element) !== text;
  const lost = ({ seen }) => seen.length > 1 && seen.filter(isLost).length >= LOST * seen.length;
  return { whole, boxes: windows.filter(lost).map(({ box }) => box) };
}
