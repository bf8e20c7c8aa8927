// What both pages share. What a page shows is a function of one number, `frame`, which it also shows
// itself, as squares that a program can read: 20 bits, then the 4-bit sum of their nibbles.
// `?frame=N` shows that one and stands still. Otherwise the page waits until it is told to go, runs
// for as many seconds as it is told, at 60 frames a second of true time, and tells how often it painted.
const RATE = 60;
const asked = new URLSearchParams(location.search);
const squares = [];
for (let at = 0; at < 24; at++) {
  const square = document.createElement('i');
  square.style.cssText =
    `position:absolute;top:0;left:${at * 16}px;width:16px;height:16px;background:#fff`;
  squares.push(square);
  document.body.append(square);
}

function number(frame) {
  let sum = 0;
  for (let nibble = 0; nibble < 5; nibble++) sum += (frame >> (nibble * 4)) & 15;
  const bits = ((sum & 15) << 20) | (frame & 0xfffff);
  squares.forEach((square, at) => {
    square.style.background = (bits >> at) & 1 ? '#000' : '#fff';
  });
}

// A number that looks random and depends on `seed` alone.
function mixed(seed) {
  let value = Math.imul(seed + 1, 0x9e3779b1);
  value = Math.imul(value ^ (value >>> 15), 0x85ebca6b);
  return (value ^ (value >>> 13)) >>> 0;
}

// `show` draws a frame; `shownAt` says which frame is still shown at a time, for pages that rest.
async function run(show, shownAt = (frame) => frame) {
  const still = asked.get('frame');
  const draw = (frame) => {
    show(frame);
    number(frame);
  };
  if (still !== null) {
    draw(Number(still));
    return;
  }
  draw(0);
  const id = asked.get('id');
  const { seconds } = await (await fetch(`/go?id=${id}`)).json();
  const begun = performance.now();
  let painted = 0;
  let last = 0;
  const tick = () => {
    const passed = performance.now() - begun;
    if (passed >= seconds * 1000) {
      fetch(`/done?id=${id}&painted=${painted}&last=${last}`);
      return;
    }
    const frame = shownAt(Math.floor((passed * RATE) / 1000));
    if (frame !== last) {
      draw(frame);
      last = frame;
      painted++;
    }
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}
