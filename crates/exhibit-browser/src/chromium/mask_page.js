// Tells our world of what it cannot see for itself: a shadow that is attached, and sheets that are set
// in the place of those there are. Runs in the page's own world before any script of the page does.
name => {
  const { apply, defineProperty, getOwnPropertyDescriptor } = Reflect;
  const { dispatchEvent } = EventTarget.prototype;
  const { attachShadow } = Element.prototype;
  const Told = Event;
  const tell = node => apply(dispatchEvent, node, [new Told(name, { composed: true })]);
  const attach = getOwnPropertyDescriptor(Element.prototype, 'attachShadow');
  attach.value = {
    attachShadow(init) {
      const root = apply(attachShadow, this, arguments);
      tell(this);
      return root;
    },
  }.attachShadow;
  defineProperty(Element.prototype, 'attachShadow', attach);
  for (const kind of [Document.prototype, ShadowRoot.prototype]) {
    const sheets = getOwnPropertyDescriptor(kind, 'adoptedStyleSheets');
    if (!sheets || !sheets.set) continue;
    const { set } = sheets;
    sheets.set = {
      set adoptedStyleSheets(value) {
        apply(set, this, [value]);
        tell(this);
      },
    };
    sheets.set = getOwnPropertyDescriptor(sheets.set, 'adoptedStyleSheets').set;
    defineProperty(kind, 'adoptedStyleSheets', sheets);
  }
}
