// Finds an element and tells which part of it a person can see, in CSS pixels of the document. Runs in
// a world of its own.
async (selector, bring) => {
  const element = document.querySelector(selector);
  if (!element) return null;
  const short = one => {
    const id = one.id ? `#${CSS.escape(one.id)}` : '';
    const names = Array.from(one.classList).slice(0, 3).map(name => `.${CSS.escape(name)}`);
    const name = `${one.localName}${id || names.join('')}`;
    // What is cut says so: a part of a secret may stand at the cut.
    return name.length > 200 ? name.slice(0, 200).replace(/[\uD800-\uDBFF]$/, '') + '…' : name;
  };
  const above = one => one.parentElement || (one.getRootNode() instanceof ShadowRoot ? one.getRootNode().host : null);
  const chain = [];
  for (let one = element; one; one = above(one)) chain.push(one);
  const gone = why => ({ why });

  // What keeps it from being there at all, the outermost reason first.
  const outermost = chain.slice().reverse();
  const none = outermost.find(one => getComputedStyle(one).display === 'none');
  if (none) return gone(`${none === element ? 'it' : short(none)} has \`display: none\``);
  const closed = outermost.find(one => one.localName === 'details' && !one.open && one !== element
    && !(one.querySelector(':scope > summary') || one).contains(element));
  if (closed) return gone(`${short(closed)} is closed`);
  const skipped = outermost.find(one => one !== element && getComputedStyle(one).contentVisibility === 'hidden');
  if (skipped) return gone(`${short(skipped)} has \`content-visibility: hidden\``);
  const clear = outermost.find(one => Number(getComputedStyle(one).opacity) <= 0.01);
  if (clear) return gone(`${clear === element ? 'it' : short(clear)} is transparent (\`opacity\`)`);
  const inside = element.querySelectorAll('*');
  const visibility = getComputedStyle(element).visibility;
  if (visibility !== 'visible'
    && !Array.from(inside).slice(0, 5000).some(one => getComputedStyle(one).visibility === 'visible'
      && one.getClientRects().length)) {
    return gone(`it has \`visibility: ${visibility}\``);
  }

  const boxOf = () => {
    if (getComputedStyle(element).display !== 'contents') return element.getBoundingClientRect();
    const range = document.createRange();
    range.selectNodeContents(element);
    return range.getBoundingClientRect();
  };
  const behind = (a, b) => {
    const left = Math.max(a.left, b.left), top = Math.max(a.top, b.top);
    const right = Math.min(a.right, b.right), bottom = Math.min(a.bottom, b.bottom);
    return { left, top, right, bottom, width: right - left, height: bottom - top };
  };
  const first = boxOf();
  if (first.width < 1 || first.height < 1) {
    return gone(`it has no size to be seen (${Math.round(first.width)} × ${Math.round(first.height)} CSS pixels)`);
  }

  // Scrolled as a person can: what only scripts can scroll stays as it is.
  const root = document.scrollingElement || document.documentElement;
  const view = (one, block) => {
    const fixed = chain.slice(1).filter(box => box !== root && box !== document.body
      && box !== document.documentElement
      && ['hidden', 'clip'].some(kind => [getComputedStyle(box).overflowX, getComputedStyle(box).overflowY].includes(kind)));
    const before = fixed.map(box => [box.scrollLeft, box.scrollTop]);
    one.scrollIntoView({ block, inline: 'nearest', behavior: 'instant' });
    fixed.forEach((box, at) => {
      const style = getComputedStyle(box);
      if (style.overflowX === 'hidden') box.scrollLeft = before[at][0];
      if (style.overflowY === 'hidden') box.scrollTop = before[at][1];
    });
  };

  // Clipped by whatever box it is in, but not by the window.
  const clipped = () => new Promise(resolve => {
    // What has no box of its own is not observed.
    if (getComputedStyle(element).display === 'contents') return resolve(boxOf());
    const seen = new IntersectionObserver(entries => {
      seen.disconnect();
      const { intersectionRect: rect, boundingClientRect: box } = entries[entries.length - 1];
      resolve(rect.width > 0 && rect.height > 0 ? rect : { ...rect.toJSON(), width: 0, height: 0, box });
    }, { rootMargin: '10000000px' });
    seen.observe(element);
    setTimeout(() => { seen.disconnect(); resolve(boxOf()); }, 1000);
  });

  // Where the document ends: beyond that nobody can scroll.
  const style = getComputedStyle(document.documentElement);
  const ahead = Math.max(root.scrollWidth - root.clientWidth, 0);
  const fromRight = style.writingMode === 'vertical-rl' || style.writingMode === 'sideways-rl'
    || (style.writingMode === 'horizontal-tb' && style.direction === 'rtl');
  const paper = () => {
    const left = (fromRight ? -ahead : 0) - scrollX;
    const top = -scrollY;
    const width = Math.max(root.scrollWidth, innerWidth), height = Math.max(root.scrollHeight, innerHeight);
    return { left, top, right: left + width, bottom: top + height };
  };

  // What is painted above it, at points all over what is in the window.
  const alpha = colour => {
    const parts = colour.match(/[\d.]+%?/g) || [];
    if (colour === 'transparent') return 0;
    const last = parts[3];
    return last === undefined ? 1 : last.endsWith('%') ? parseFloat(last) / 100 : Number(last);
  };
  const solid = (one, x, y) => {
    let opacity = 1;
    for (let up = one; up; up = above(up)) opacity *= Number(getComputedStyle(up).opacity);
    if (opacity < 0.9) return false;
    const box = one.getBoundingClientRect();
    const on = x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
    const look = getComputedStyle(one, !on && one.localName === 'dialog' ? '::backdrop' : null);
    if (look.visibility !== 'visible') return false;
    return alpha(look.backgroundColor) >= 0.9 || look.backgroundImage.includes('url(')
      || ['img', 'video', 'canvas', 'iframe', 'embed', 'object'].includes(one.localName);
  };
  const inIt = one => {
    for (let up = one; up; up = above(up)) if (up === element) return true;
    return false;
  };
  const covers = part => {
    const shown = behind(part, { left: 0, top: 0, right: innerWidth, bottom: innerHeight });
    const found = new Map();
    let points = 0;
    if (shown.width <= 0 || shown.height <= 0) return { points, found };
    const sheet = new CSSStyleSheet();
    sheet.replaceSync('* { pointer-events: auto !important }');
    document.adoptedStyleSheets.push(sheet);
    try {
      for (let row = 0; row < 7; row++) {
        for (let column = 0; column < 7; column++) {
          const x = shown.left + shown.width * (column + 0.5) / 7, y = shown.top + shown.height * (row + 0.5) / 7;
          const stack = document.elementsFromPoint(x, y);
          const own = stack.findIndex(inIt);
          // A modal dialog makes the rest of the page inert, which no point finds.
          const inert = own < 0 && stack.some(one => one.matches('dialog:modal, dialog:modal *'));
          if (own < 0 && !inert) continue;
          points += 1;
          const over = (inert ? stack : stack.slice(0, own))
            .find(one => !(inert && chain.includes(one)) && solid(one, x, y));
          if (over) found.set(over, (found.get(over) || 0) + 1);
        }
      }
    } finally {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter(one => one !== sheet);
    }
    return { points, found };
  };
  const hits = cover => Array.from(cover.found.values()).reduce((sum, one) => sum + one, 0);

  let part, clip, cover;
  for (const block of bring ? ['nearest', 'center', 'start', 'end'] : ['']) {
    if (block) view(element, block);
    clip = await clipped();
    part = behind(clip, paper());
    cover = part.width >= 1 && part.height >= 1 ? covers(part) : { points: 0, found: new Map() };
    if (!hits(cover)) break;
  }
  const box = boxOf();
  const inPage = one => [one.left + scrollX, one.top + scrollY, one.right - one.left, one.bottom - one.top];
  const at = inPage(box).map(Math.round);
  if (clip.width < 1 || clip.height < 1) {
    const cutter = chain.slice(1).find(one => {
      const look = getComputedStyle(one), edge = one.getBoundingClientRect();
      const cuts = look.overflowX !== 'visible' || look.overflowY !== 'visible' || look.clipPath !== 'none'
        || look.clip !== 'auto';
      const rest = behind(box, edge);
      return cuts && (rest.width < 1 || rest.height < 1);
    });
    return gone(cutter ? `${short(cutter)} clips it away` : 'it is clipped away (`clip-path`)');
  }
  if (part.width < 1 || part.height < 1) {
    const end = inPage(paper()).map(Math.round);
    return gone(`it lies outside the page: at ${at[0]}, ${at[1]}, ${at[2]} × ${at[3]} in size, and the page is at `
      + `${end[0]}, ${end[1]}, ${end[2]} × ${end[3]} in size`);
  }
  const reasons = [];
  const cuts = (one, rest) => Math.max(one.width, one.right - one.left) - rest.width >= 1
    || one.bottom - one.top - rest.height >= 1;
  if (cuts(box, behind(box, clip))) reasons.push('a box around it clips it');
  if (cuts(clip, part)) reasons.push('it reaches beyond the page');
  const coverers = Array.from(cover.found.keys()).map(short).slice(0, 5);
  if (cover.points && hits(cover) >= cover.points) {
    return { why: `${coverers.join(', ')} covers it`, covered_by: coverers };
  }
  // A cover that leaves one rectangle is cut away; any other is told of.
  let covered = [];
  for (const one of cover.found.keys()) {
    const over = behind(part, one.getBoundingClientRect());
    const wide = over.width >= part.width - 1, high = over.height >= part.height - 1;
    if (wide && !high && over.top - part.top < 1) {
      part = behind(part, { ...part, top: over.bottom });
    } else if (wide && !high && part.bottom - over.bottom < 1) {
      part = behind(part, { ...part, bottom: over.top });
    } else if (high && !wide && over.left - part.left < 1) {
      part = behind(part, { ...part, left: over.right });
    } else if (high && !wide && part.right - over.right < 1) {
      part = behind(part, { ...part, right: over.left });
    } else {
      covered.push(short(one));
      continue;
    }
    reasons.push(`${short(one)} covers the rest`);
  }
  if (covered.length) reasons.push(`${covered.slice(0, 5).join(', ')} covers a part of it`);
  return { box: inPage(box), part: inPage(part), reasons, covered_by: coverers };
}
