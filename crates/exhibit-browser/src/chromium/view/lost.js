// Remembers the canvases whose context was lost, from a document's beginning on. Runs in a world of its
// own in every frame.
() => {
  if (globalThis.exhibitLost) return globalThis.exhibitLost;
  const gone = new Set();
  const lose = event => gone.add(event.target);
  const regain = event => gone.delete(event.target);
  const kinds = [
    ['webglcontextlost', lose], ['contextlost', lose],
    ['webglcontextrestored', regain], ['contextrestored', regain],
  ];
  // These events do not leave a shadow: each is listened to in its own.
  const watch = root => kinds.forEach(([kind, heard]) => root.addEventListener(kind, heard, true));
  globalThis.exhibitLost = { watch, canvases: () => [...gone].filter(canvas => canvas.isConnected) };
  watch(globalThis);
  // A document that is written anew has lost its listeners.
  new MutationObserver(() => watch(globalThis)).observe(document, { childList: true });
  return globalThis.exhibitLost;
}
