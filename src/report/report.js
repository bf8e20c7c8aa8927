'use strict';
// What a page can add to itself: the slider, the chapters, and the recomputing of digests. All of
// it is shown without a script as well; nothing is asked of any network.
(() => {
  const byId = id => document.getElementById(id);
  for (const element of document.querySelectorAll('.scripted')) element.hidden = false;

  // Before and after: one over the other, as far as the slider stands.
  for (const compared of document.querySelectorAll('.compared')) {
    const pair = compared.querySelector('.pair');
    const range = compared.querySelector('.slide input');
    const mode = compared.querySelector('.slide button');
    const show = () => pair.style.setProperty('--at', range.value + '%');
    const slide = on => {
      pair.classList.toggle('sliding', on);
      range.disabled = !on;
      mode.textContent = on ? 'Show side by side' : 'Show one over the other';
    };
    range.addEventListener('input', show);
    mode.addEventListener('click', () => slide(!pair.classList.contains('sliding')));
    const follow = event => {
      if (!pair.classList.contains('sliding') || !(event.buttons & 1)) return;
      const box = pair.querySelector('img').getBoundingClientRect();
      range.value = (event.clientX - box.left) / box.width * 100;
      show();
    };
    pair.addEventListener('pointerdown', follow);
    pair.addEventListener('pointermove', follow);
    pair.addEventListener('dragstart', event => event.preventDefault());
    slide(true);
    show();
  }

  // Chapters: to a moment of the recording, and which one is being shown.
  for (const recording of document.querySelectorAll('.recording')) {
    const video = recording.querySelector('video');
    const chapters = [...recording.querySelectorAll('button[data-at]')];
    if (!video) continue;
    for (const chapter of chapters) {
      chapter.disabled = false;
      chapter.addEventListener('click', () => { video.currentTime = Number(chapter.dataset.at); });
    }
    const mark = () => {
      let now = null;
      for (const chapter of chapters) {
        chapter.removeAttribute('aria-current');
        if (Number(chapter.dataset.at) <= video.currentTime + 0.05) now = chapter;
      }
      if (now) now.setAttribute('aria-current', 'true');
    };
    video.addEventListener('timeupdate', mark);
    video.addEventListener('seeked', mark);
  }

  // SHA-256 (FIPS 180-4): not every browser lends its own to a page opened from disk.
  const fraction = root => {
    const value = root - Math.floor(root);
    return Math.floor(value * 0x100000000) | 0;
  };
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every(p => n % p)) primes.push(n);
  const K = Int32Array.from(primes, p => fraction(Math.cbrt(p)));
  const START = Int32Array.from(primes.slice(0, 8), p => fraction(Math.sqrt(p)));
  const turn = (x, n) => x >>> n | x << 32 - n;

  const blocks = (state, bytes, from, to) => {
    const w = new Int32Array(64);
    for (let at = from; at < to; at += 64) {
      for (let i = 0, j = at; i < 16; i++, j += 4) {
        w[i] = bytes[j] << 24 | bytes[j + 1] << 16 | bytes[j + 2] << 8 | bytes[j + 3];
      }
      for (let i = 16; i < 64; i++) {
        const x = w[i - 15];
        const y = w[i - 2];
        const s0 = turn(x, 7) ^ turn(x, 18) ^ x >>> 3;
        const s1 = turn(y, 17) ^ turn(y, 19) ^ y >>> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1 | 0;
      }
      let [a, b, c, d, e, f, g, h] = state;
      for (let i = 0; i < 64; i++) {
        const one = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (e & f ^ ~e & g) + K[i] + w[i] | 0;
        const two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + (a & b ^ a & c ^ b & c) | 0;
        h = g; g = f; f = e; e = d + one | 0; d = c; c = b; b = a; a = one + two | 0;
      }
      state[0] += a; state[1] += b; state[2] += c; state[3] += d;
      state[4] += e; state[5] += f; state[6] += g; state[7] += h;
    }
  };

  const pause = () => new Promise(done => setTimeout(done));
  const sha256 = async bytes => {
    const state = START.slice();
    const whole = bytes.length - bytes.length % 64;
    const piece = 1 << 22;
    for (let at = 0; at < whole; at += piece) {
      blocks(state, bytes, at, Math.min(at + piece, whole));
      await pause();
    }
    const rest = bytes.subarray(whole);
    const end = new Uint8Array(rest.length < 56 ? 64 : 128);
    end.set(rest);
    end[rest.length] = 0x80;
    const view = new DataView(end.buffer);
    view.setUint32(end.length - 8, Math.floor(bytes.length / 0x20000000));
    view.setUint32(end.length - 4, bytes.length << 3);
    blocks(state, end, 0, end.length);
    return Array.from(state, word => (word >>> 0).toString(16).padStart(8, '0')).join('');
  };

  const decoded = text => {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  };
  // What an element carries: a data: address, or base64 as its text.
  const carried = (element, attribute = 'src') => {
    const address = element.getAttribute(attribute);
    return decoded(address ? address.slice(address.indexOf(',') + 1) : element.textContent.trim());
  };
  const files = () => {
    const all = [...document.querySelectorAll('[data-file]')];
    const posters = [...document.querySelectorAll('[data-poster-file]')];
    return [
      ...all.map(element => [element.dataset.file, () => carried(element)]),
      ...posters.map(element => [element.dataset.posterFile, () => carried(element, 'poster')]),
    ];
  };

  const expectations = bytes => {
    const digests = new Map();
    for (const line of new TextDecoder().decode(bytes).split('\n')) {
      const entry = /^([0-9a-f]{64})  (.+)$/.exec(line);
      if (entry && !digests.has(entry[2])) digests.set(entry[2], entry[1]);
    }
    return digests;
  };

  const check = async () => {
    const result = byId('check-result');
    const list = byId('check-list');
    list.replaceChildren();
    const tell = (tone, text) => {
      result.className = 'result ' + tone;
      result.textContent = text;
    };
    tell('plain', 'Computing …');
    await pause();
    const manifest = byId('manifest');
    let told = null;
    try {
      told = manifest ? carried(manifest) : null;
    } catch {
      return tell('bad', 'DOES NOT MATCH: the manifest in this report cannot be read.');
    }
    if (!told) return tell('warn', 'There is no manifest in this report to compare with.');
    const expected = expectations(told);
    let wrong = 0;
    let right = 0;
    const seen = new Set();
    for (const [name, bytes] of files()) {
      let digest = 'unreadable';
      try {
        digest = await sha256(bytes());
      } catch { /* what cannot be decoded is not what was sealed */ }
      const matches = expected.get(name) === digest;
      if (matches && seen.has(name)) continue;
      seen.add(name);
      if (matches) right++; else wrong++;
      const item = document.createElement('li');
      const state = document.createElement('span');
      state.className = 'state ' + (matches ? 'good' : 'bad');
      state.textContent = matches ? 'matches' : 'does not match';
      const file = document.createElement('span');
      file.className = 'code';
      file.textContent = name + ' ' + digest;
      item.append(state, file);
      list.append(item);
    }
    byId('manifest-digest').textContent = await sha256(told);
    byId('manifest-told').hidden = false;
    const some = n => n === 1 ? '1 file' : n + ' files';
    if (wrong) {
      tell('bad', 'DOES NOT MATCH: ' + some(wrong) + ' of ' + (wrong + right)
        + ' in this report ' + (wrong === 1 ? 'is' : 'are') + ' not what the manifest lists.');
    } else if (right) {
      tell('good', 'Match: ' + (right === 1 ? 'the 1 file' : 'all ' + some(right))
        + ' in this report ' + (right === 1 ? 'is' : 'are') + ' what the manifest lists.');
    } else {
      tell('warn', 'This report carries no file to compare.');
    }
  };
  const button = byId('check');
  if (button) {
    button.addEventListener('click', async () => {
      button.disabled = true;
      try { await check(); } finally { button.disabled = false; }
    });
  }
})();
