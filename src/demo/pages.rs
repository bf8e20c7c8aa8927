//! Owns the refund desk's pages, and what those of the other desks share: plain HTML with its style
//! inside, no script, everything that is not ours escaped.

use super::ledger::{Cents, RefundForm, Transaction};

const STYLE: &str = include_str!("desk.css");

/// `text` as it may stand in HTML, also between quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

fn document(title: &str, main: &str) -> String {
    shell("Refund desk", title, main)
}

/// A page of the application `desk`.
pub(super) fn shell(desk: &str, title: &str, main: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} · {desk}</title><style>{STYLE}</style></head><body>\
         <header><a href=\"/\"><strong>{desk}</strong></a><span>Northwind Payments · back \
         office</span></header><main>{main}</main></body></html>"
    )
}

fn chip(transaction: &Transaction) -> String {
    let status = transaction.status();
    format!("<span class=\"chip {}\">{status}</span>", status.replace(' ', "-"))
}

pub(super) fn tile(label: &str, value: &str) -> String {
    format!("<div class=\"tile\"><span>{label}</span><b>{value}</b></div>")
}

pub(super) fn dashboard(transactions: &[Transaction]) -> String {
    let total = |of: fn(&Transaction) -> Cents| Cents(transactions.iter().map(|t| of(t).0).sum());
    let rows: String = transactions.iter().map(row).collect();
    let tiles = [
        tile("Payments", &transactions.len().to_string()),
        tile("Received", &format!("{} €", total(|t| t.amount))),
        tile("Refunded", &format!("{} €", total(|t| t.refunded))),
    ];
    let main = format!(
        "<h1>Transactions</h1><div class=\"tiles\">{}</div><div class=\"card\"><table><thead><tr>\
         <th>Transaction<th>Customer<th class=\"method\">Method<th class=\"money\">Amount<th \
         class=\"money\">Refunded<th>Status</tr></thead><tbody>{rows}</tbody></table></div>",
        tiles.concat()
    );
    document("Transactions", &main)
}

fn row(transaction: &Transaction) -> String {
    format!(
        "<tr><td><a href=\"/transactions/{id}\">{id}</a><td>{customer}<td class=\"method\">{method}\
         <td class=\"money\">{amount} €<td class=\"money\">{refunded} €<td>{chip}</tr>",
        id = transaction.id,
        customer = escaped(transaction.customer),
        method = escaped(transaction.method),
        amount = transaction.amount,
        refunded = transaction.refunded,
        chip = chip(transaction),
    )
}

pub(super) fn details(transaction: &Transaction) -> String {
    let entries = transaction.history.iter();
    let entries = entries
        .map(|entry| format!("<li><time>{}</time> {}</li>", entry.time, escaped(&entry.text)));
    let history = entries.collect::<Vec<_>>().concat();
    let id = transaction.id;
    let action = if transaction.balance() == Cents(0) {
        String::new()
    } else {
        format!("<p><a class=\"button\" href=\"/transactions/{id}/refund\">Refund…</a></p>")
    };
    let main = format!(
        "<h1>{id} {chip}</h1>{tiles}<div class=\"card\"><h2>Details</h2><dl><dt>Customer<dd>{customer}\
         <dt>Method<dd>{method}</dl>{action}</div><div class=\"card\"><h2>History</h2>\
         <ul>{history}</ul></div>",
        chip = chip(transaction),
        tiles = amounts(transaction),
        customer = escaped(transaction.customer),
        method = escaped(transaction.method),
    );
    document(id, &main)
}

fn amounts(transaction: &Transaction) -> String {
    let tiles = [
        tile("Amount", &format!("{} €", transaction.amount)),
        tile("Refunded", &format!("{} €", transaction.refunded)),
        tile("Can be refunded", &format!("{} €", transaction.balance())),
    ];
    format!("<div class=\"tiles\">{}</div>", tiles.concat())
}

pub(super) fn form(transaction: &Transaction, asked: &RefundForm, refused: Option<&str>) -> String {
    let id = transaction.id;
    let alert = refused.map_or_else(String::new, |why| {
        format!("<p class=\"alert\" role=\"alert\">{}</p>", escaped(why))
    });
    let main = format!(
        "<h1>Refund {id}</h1>{tiles}<form class=\"card\" method=\"post\" \
         action=\"/transactions/{id}/refund\">{alert}<label>Amount in €\
         <input name=\"amount\" inputmode=\"decimal\" required value=\"{amount}\"></label>\
         <label>Reason<textarea name=\"reason\" rows=\"3\" required>{reason}</textarea></label>\
         <p><button class=\"button\">Refund now</button> <a href=\"/transactions/{id}\">Cancel</a>\
         </p></form>",
        tiles = amounts(transaction),
        amount = escaped(&asked.amount),
        reason = escaped(&asked.reason),
    );
    document(&format!("Refund {id}"), &main)
}

pub(super) fn confirmation(transaction: &Transaction) -> String {
    let id = transaction.id;
    let last = transaction.history.last();
    let (time, text) = last.map_or(("", ""), |entry| (&*entry.time, &*entry.text));
    let done = transaction.refunded > Cents(0);
    let (heading, class) =
        if done { ("Refund processed", "done") } else { ("Nothing was refunded", "alert") };
    let main = format!(
        "<h1>{heading}</h1><div class=\"card\"><p class=\"{class}\">{text}</p><dl><dt>Transaction\
         <dd>{id}<dt>Customer<dd>{customer}<dt>Time<dd><time>{time}</time><dt>Status<dd>{chip}</dl>\
         <p><a class=\"button\" href=\"/transactions/{id}\">Back to the transaction</a></p></div>",
        text = escaped(text),
        customer = escaped(transaction.customer),
        chip = chip(transaction),
    );
    document(heading, &main)
}

pub(super) fn missing() -> String {
    document("Not found", "<h1>Not found</h1><p>There is no such page here.</p>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_text_and_nothing_else() {
        let transaction = Transaction {
            id: "TX-1",
            customer: "<b>Eve</b>",
            method: "card",
            amount: Cents(100),
            refunded: Cents(0),
            history: Vec::new(),
        };
        let asked =
            RefundForm { amount: "\"><script>".to_owned(), reason: "</textarea>&".to_owned() };
        let html = form(&transaction, &asked, Some("<i>no</i>"));
        assert!(html.contains("value=\"&quot;&gt;&lt;script&gt;\""), "{html}");
        assert!(html.contains("&lt;/textarea&gt;&amp;") && html.contains("&lt;i&gt;no&lt;/i&gt;"));
        assert!(details(&transaction).contains("&lt;b&gt;Eve&lt;/b&gt;"));
    }
}
