limits => {
    // What is cut ends with a mark: the cleaning of secrets looks at what stands before it.
    const cut = (value, most) => (value.length > most
        ? value.slice(0, most).replace(/[\uD800-\uDBFF]$/, '') + '…' : value);
    const text = (value, most) => cut((value || '').replace(/\s+/g, ' ').trim(), most);
    const all = selector => Array.from(document.querySelectorAll(selector));
    const quoted = value => '"' + CSS.escape(value) + '"';
    const only = selector => {
        try { return document.querySelectorAll(selector).length === 1; } catch { return false; }
    };

    const short = element => {
        const tag = element.localName;
        if (element.id && only('#' + CSS.escape(element.id))) return '#' + CSS.escape(element.id);
        for (const name of ['data-testid', 'data-test', 'data-cy', 'name', 'aria-label']) {
            const value = element.getAttribute(name);
            if (!value || value.length > 80) continue;
            const selector = `${CSS.escape(tag)}[${name}=${quoted(value)}]`;
            if (only(selector)) return selector;
        }
        return null;
    };
    const selectorOf = element => {
        const parts = [];
        for (let at = element; at && at.nodeType === 1; at = at.parentElement) {
            const own = short(at);
            if (own) return [own, ...parts].join(' > ');
            if (at === document.documentElement) return ['html', ...parts].join(' > ');
            const tag = CSS.escape(at.localName);
            const same = at.parentElement
                ? Array.from(at.parentElement.children).filter(one => one.localName === at.localName)
                : [at];
            parts.unshift(same.length > 1 ? `${tag}:nth-of-type(${same.indexOf(at) + 1})` : tag);
            const whole = parts.join(' > ');
            if (parts.length > 1 && only(whole)) return whole;
        }
        return parts.join(' > ');
    };

    const isSeen = element => {
        if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
        const box = element.getBoundingClientRect();
        return box.width > 0 && box.height > 0;
    };
    const rectOf = element => {
        const box = element.getBoundingClientRect();
        const round = number => Math.round(number * 100) / 100;
        return [round(box.x + scrollX), round(box.y + scrollY), round(box.width), round(box.height)];
    };

    const ROLES = {
        a: 'link', button: 'button', select: 'combobox', textarea: 'textbox', summary: 'button',
    };
    const INPUTS = {
        button: 'button', submit: 'button', reset: 'button', image: 'button', checkbox: 'checkbox',
        radio: 'radio', range: 'slider', number: 'spinbutton', search: 'searchbox',
    };
    const roleOf = element => {
        const given = (element.getAttribute('role') || '').trim().split(/\s+/)[0];
        if (given) return given;
        if (element.localName === 'input') return INPUTS[element.type] || 'textbox';
        if (element.localName === 'select' && (element.multiple || element.size > 1)) return 'listbox';
        return ROLES[element.localName] || (element.isContentEditable ? 'textbox' : 'generic');
    };
    const nameOf = element => {
        const by = (element.getAttribute('aria-labelledby') || '').split(/\s+/).filter(Boolean);
        const named = by.map(id => document.getElementById(id)).filter(Boolean);
        if (named.length) return text(named.map(one => one.textContent).join(' '), 200);
        const label = element.getAttribute('aria-label');
        if (label) return text(label, 200);
        if (element.labels && element.labels.length) {
            return text(Array.from(element.labels, one => one.textContent).join(' '), 200);
        }
        if (element.localName === 'input') {
            // What a button says; never what was typed.
            if (INPUTS[element.type] === 'button') {
                return text(element.value || element.alt || element.type, 200);
            }
            return text(element.placeholder || element.title || element.name, 200);
        }
        if (element.localName === 'textarea' || element.localName === 'select') {
            return text(element.placeholder || element.title || element.name, 200);
        }
        const image = element.querySelector('img[alt]');
        return text(element.innerText, 200) || text(element.title, 200)
            || text(image ? image.alt : '', 200);
    };
    const stateOf = element => {
        const aria = name => element.getAttribute('aria-' + name) === 'true';
        const flags = {
            disabled: element.matches(':disabled') || aria('disabled'),
            checked: element.checked === true || aria('checked'),
            selected: aria('selected'),
            expanded: aria('expanded') || (element.localName === 'summary' && element.parentElement.open),
            pressed: aria('pressed'),
            required: element.required === true || aria('required'),
            readonly: element.readOnly === true || aria('readonly'),
            invalid: aria('invalid'),
            focused: document.activeElement === element,
        };
        return Object.keys(flags).filter(name => flags[name]);
    };
    const ATTRIBUTES = [
        'type', 'name', 'placeholder', 'href', 'alt', 'title', 'autocomplete', 'required', 'disabled',
        'min', 'max', 'maxlength', 'pattern', 'for', 'target', 'data-testid',
    ];
    const attributesOf = element => {
        const found = {};
        for (const name of ATTRIBUTES) {
            const value = element.getAttribute(name);
            if (value !== null) found[name] = cut(value, 500);
        }
        return found;
    };

    const INTERACTIVE = [
        'a[href]', 'button', 'input:not([type=hidden])', 'select', 'textarea', 'summary',
        '[contenteditable=""]', '[contenteditable="true"]', '[onclick]', '[role=button]',
        '[role=link]', '[role=checkbox]', '[role=radio]', '[role=switch]', '[role=tab]',
        '[role=menuitem]', '[role=option]', '[role=textbox]', '[role=searchbox]', '[role=combobox]',
        '[role=slider]', '[role=spinbutton]',
    ].join(',');
    const seen = all(INTERACTIVE).filter(isSeen);
    const elements = seen.slice(0, limits.elements).map(element => ({
        tag: element.localName,
        role: roleOf(element),
        type: element.localName === 'input' || element.localName === 'button' ? element.type : null,
        name: nameOf(element),
        state: stateOf(element),
        selector: selectorOf(element),
        attributes: attributesOf(element),
        href: element.localName === 'a' ? element.href : null,
        rect: rectOf(element),
        form: element.form ? Array.from(document.forms).indexOf(element.form) : -1,
        secret: element.type === 'password',
    }));

    const fieldsOf = form => Array.from(form.elements).filter(field =>
        field.type !== 'hidden' && !['fieldset', 'output', 'object'].includes(field.localName));
    const forms = Array.from(document.forms).slice(0, limits.forms).map(form => ({
        selector: selectorOf(form),
        method: (form.getAttribute('method') || 'get').toLowerCase(),
        action: form.getAttribute('action') === null ? location.href : form.action.toString(),
        fields: fieldsOf(form).filter(field => INPUTS[field.type] !== 'button'
            && field.localName !== 'button').map(field => field.name || field.id || field.type),
        text: text(form.textContent, 500),
    }));

    const description = document.querySelector('meta[name="description"], meta[property="og:description"]');
    const article = document.querySelector('article, [itemprop="articleBody"]');
    const words = value => (value || '').split(/\s+/).filter(Boolean).length;
    const links = all('a[href]');
    const images = all('img');
    const headings = all('h1,h2,h3,h4,h5,h6,[role=heading]').filter(isSeen);
    return {
        title: cut(document.title, 2000),
        url: location.href,
        lang: document.documentElement.lang || null,
        description: description ? text(description.content, 2000) : null,
        headings: headings.slice(0, limits.headings).map(heading => ({
            level: Number(heading.getAttribute('aria-level') || heading.localName[1]) || 2,
            text: text(heading.innerText, 500),
            selector: selectorOf(heading),
        })),
        elements,
        forms,
        links: links.slice(0, limits.links).map(link => ({
            text: text(link.innerText, 200), href: link.href.toString(), selector: selectorOf(link),
        })),
        images: images.slice(0, limits.images).map(image => ({
            alt: image.alt, src: image.currentSrc || image.src, selector: selectorOf(image),
        })),
        truncated: {
            headings: headings.length > limits.headings,
            elements: seen.length > limits.elements,
            links: links.length > limits.links,
            images: images.length > limits.images,
            forms: document.forms.length > limits.forms,
        },
        hints: {
            passwords: all('input[type=password]').filter(isSeen).length,
            newPasswords: all('input[autocomplete="new-password"]').filter(isSeen).length,
            searches: all('input[type=search], [role=search] input, form[action*="search" i] input')
                .filter(isSeen).length,
            fields: elements.filter(one => ['textbox', 'combobox', 'checkbox', 'radio', 'spinbutton',
                'listbox', 'searchbox', 'slider'].includes(one.role)).length,
            articleWords: article ? words(article.innerText) : 0,
        },
    };
}
