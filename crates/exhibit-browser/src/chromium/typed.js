// Tells which fields are for secrets, and what is in them. Runs in a world of its own in every frame,
// so that the page's scripts do not come across it, and from the document's beginning on, so that it
// knows a field which was one for a password once.
() => {
  if (globalThis.exhibitTyped) return globalThis.exhibitTyped;

  // Most fields, and letters in them, that are told.
  const MOST = 500;
  const LETTERS = 100_000;
  const passwords = new WeakSet();
  const roots = new Set();
  const all = (root, selector) => {
    const kind = root instanceof Document ? Document : root instanceof Element ? Element : DocumentFragment;
    return [...kind.prototype.querySelectorAll.call(root, selector)];
  };
  const note = field => {
    if (field.localName === 'input' && field.type === 'password') passwords.add(field);
  };
  const reach = root => {
    roots.add(root);
    if (root.host && globalThis.exhibitLost) globalThis.exhibitLost.watch(root);
    observer.observe(root, {
      attributes: true, attributeFilter: ['type'], attributeOldValue: true, childList: true, subtree: true,
    });
    all(root, 'input').forEach(note);
    all(root, '*').forEach(inner => inner.shadowRoot && reach(inner.shadowRoot));
  };
  const added = node => {
    if (!(node instanceof Element)) return;
    note(node);
    if (node.shadowRoot) reach(node.shadowRoot);
    all(node, '*').forEach(inner => {
      note(inner);
      if (inner.shadowRoot) reach(inner.shadowRoot);
    });
  };
  const absorb = changes => changes.forEach(change => {
    if (change.type === 'childList') return change.addedNodes.forEach(added);
    if ((change.oldValue || '').toLowerCase() === 'password') passwords.add(change.target);
    note(change.target);
  });
  const observer = new MutationObserver(absorb);
  const ensure = () => {
    absorb(observer.takeRecords());
    reach(document);
  };

  const plain = text => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
  // Words that stand alone, words that stand in others, and what is the whole of a name.
  const WORDS = new Set([
    'pw', 'pwd', 'psw', 'pin', 'pins', 'otp', 'totp', 'tan', 'mfa', '2fa', 'tfa', 'cvv', 'cvc', 'csc',
    'mdp', 'clave', 'nip', 'mnemonic', 'ccnum', 'ccno', 'пин',
  ].map(plain));
  const PARTS = [
    'password', 'passwd', 'passcode', 'passphrase', 'passwort', 'kennwort', 'wachtwoord', 'senha',
    'contraseña', 'motdepasse', 'lösenord', 'passord', 'adgangskode', 'salasana', 'hasło', 'heslo',
    'jelszó', 'parola', 'şifre', 'пароль', '密码', '密碼', 'パスワード', '暗証番号', '비밀번호',
    'onetimecode', 'onetimepass', 'onetimepin', 'onetimetoken', 'einmalcode', 'einmalkenn', 'einmalpass',
    'codeausageunique', 'codigodeunsolouso', 'codigodeverificacion', 'codigodeseguridad',
    'codigodeseguranca', 'codedeverification', 'codedesecurite', 'codicedisicurezza', 'beveiligingscode',
    'verificationcode', 'securitycode', 'authenticationcode', 'authcode', 'logincode', 'smscode',
    'mfacode', 'digitcode', 'accesscode', 'pincode', 'cardpin', 'sicherheitscode', 'bestätigungscode',
    'prüfziffer', 'prüfnummer', 'kartenprüf', 'geheimzahl', 'cardverification', 'cardsecurity',
    'verificationvalue', 'cardnumber', 'cardnum', 'cardno', 'ccnumber', 'creditcardnumber',
    'kartennummer', 'kreditkartennr', 'numerodecarte', 'numerodelacarte', 'numerodetarjeta',
    'numerodelatarjeta', 'numerodocartao', 'numerodicarta', 'numerodellacarta', 'kaartnummer',
    'номеркарты', 'кодбезопасности', '卡号', '卡號', 'カード番号', '카드번호', '验证码', '驗證碼', '認証コード', '인증번호',
    'apikey', 'secretkey', 'clientsecret', 'accesstoken', 'privatekey', 'recoverycode', 'backupcode',
    'seedphrase', 'recoveryphrase',
  ].map(plain);
  const WHOLE = new Set([
    'pass', 'userpass', 'onetime', 'card', 'creditcard', 'debitcard', 'kreditkarte', 'cartebancaire', 'tarjeta', 'secret',
  ]);
  const says = name => {
    const text = (name || '').slice(0, 1000);
    const humps = text.replace(/(\p{Ll})(\p{Lu})/gu, '$1 $2').replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1 $2');
    const words = plain(humps).split(/[^\p{L}\p{N}]+/u).filter(Boolean);
    const whole = words.join('');
    return WHOLE.has(whole) || PARTS.some(part => whole.includes(part))
      || words.some(word => WORDS.has(word) || WORDS.has(word.replace(/\d+$/, '')));
  };
  const labels = field => {
    const by = (field.getAttribute('aria-labelledby') || '').split(/\s+/).filter(Boolean);
    const root = field.getRootNode();
    const named = by.map(id => all(root, '#' + CSS.escape(id))[0]).filter(Boolean);
    return [...named, ...(field.labels || [])].map(label => label.textContent);
  };
  const OTHERS = [
    'hidden', 'button', 'submit', 'reset', 'image', 'checkbox', 'radio', 'range', 'color', 'file',
  ];
  const isSecret = field => {
    if (passwords.has(field)) return true;
    if (field.localName === 'input' && OTHERS.includes(field.type)) return false;
    const hints = (field.getAttribute('autocomplete') || '').toLowerCase();
    if (/password|one-time-code|(^|\s)cc-/.test(hints)) return true;
    const cover = getComputedStyle(field).webkitTextSecurity;
    if (cover && cover !== 'none') return true;
    const names = ['name', 'id', 'aria-label', 'placeholder'].map(name => field.getAttribute(name));
    return [...names, ...labels(field)].some(says);
  };
  const valueOf = field => (field.isContentEditable ? field.textContent : field.value) || '';
  const secrets = () => {
    ensure();
    const fields = [...roots].filter(root => root === document || root.isConnected)
      .flatMap(root => all(root, 'input, textarea, [contenteditable]'));
    return fields.filter(field => valueOf(field) && isSecret(field));
  };

  globalThis.exhibitTyped = {
    isSecret(field) {
      ensure();
      return isSecret(field);
    },
    // The fields whose values are too short to be told from other words.
    short: () => secrets().slice(0, MOST).filter(field => [...valueOf(field).slice(0, 8)].length < 4),
    // The shadows of this document.
    roots: () => [...roots].filter(root => root.host && root.host.isConnected),
    look: () => {
      const found = secrets();
      const fields = [];
      let letters = 0;
      for (const field of found.slice(0, MOST)) {
        const one = { id: field.id, name: field.getAttribute('name') || '', value: valueOf(field) };
        letters += one.id.length + one.name.length + one.value.length;
        if (letters > LETTERS) break;
        fields.push(one);
      }
      const frames = all(document, 'iframe, frame, object, embed').length > 0;
      return { frames, fields, more: fields.length < found.length };
    },
  };
  ensure();
  return globalThis.exhibitTyped;
}
