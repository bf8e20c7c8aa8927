//! Owns the refund desk's transactions: what was paid, what was refunded, and what may still be.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest reason for a refund, in characters.
const REASON_LIMIT: usize = 500;

/// An amount of money, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub(super) struct Cents(pub(super) u64);

impl Cents {
    /// Read an amount as people write it: `48`, `48.5`, `48.50`.
    fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 9 || part.len() > 2 || !digits(whole) || !digits(part)
        {
            return None;
        }
        let cents = format!("{part:0<2}").parse::<u64>().ok()?;
        Some(Self(whole.parse::<u64>().ok()? * 100 + cents))
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl From<Cents> for String {
    fn from(cents: Cents) -> Self {
        cents.to_string()
    }
}

/// What happened to a transaction.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HistoryEntry {
    /// RFC 3339, UTC.
    pub(super) time: String,
    pub(super) text: String,
}

/// A payment, and what was refunded of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Transaction {
    pub(super) id: &'static str,
    pub(super) customer: &'static str,
    pub(super) method: &'static str,
    pub(super) amount: Cents,
    pub(super) refunded: Cents,
    pub(super) history: Vec<HistoryEntry>,
}

impl Transaction {
    pub(super) fn status(&self) -> &'static str {
        match self.refunded {
            Cents(0) => "paid",
            refunded if refunded == self.amount => "refunded",
            _ => "partly refunded",
        }
    }

    /// What can still be refunded.
    pub(super) fn balance(&self) -> Cents {
        Cents(self.amount.0 - self.refunded.0)
    }
}

/// A refund asked for, as typed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(expecting = "struct Asked")]
pub(super) struct RefundForm {
    #[serde(default)]
    pub(super) amount: String,
    #[serde(default)]
    pub(super) reason: String,
}

/// All transactions.
#[derive(Debug)]
pub(super) struct Ledger(pub(super) Vec<Transaction>);

impl Ledger {
    pub(super) fn new(now: &str) -> Self {
        let transaction = |id, customer, method, amount, refunded| {
            let paid = HistoryEntry { time: now.to_owned(), text: format!("Paid by {method}") };
            let refunded = Cents(refunded);
            Transaction {
                id,
                customer,
                method,
                amount: Cents(amount),
                refunded,
                history: vec![paid],
            }
        };
        Self(vec![
            transaction("TX-1042", "Mara Lindqvist", "card •••• 4417", 4_850, 0),
            transaction("TX-1041", "Idris Okafor", "bank transfer", 129_900, 0),
            transaction("TX-1040", "Yuki Tanaka 田中", "card •••• 0093", 7_525, 7_525),
            transaction("TX-1039", "Ana <Beta> O’Neil", "wallet", 1_999, 500),
            transaction("TX-1038", "Łukasz Nowak", "card •••• 8250", 21_000, 0),
        ])
    }

    pub(super) fn find(&self, id: &str) -> Option<&Transaction> {
        self.0.iter().find(|transaction| transaction.id == id)
    }

    /// Refund as asked, or say why not.
    pub(super) fn refund(
        &mut self,
        id: &str,
        asked: &RefundForm,
        now: &str,
    ) -> Result<&Transaction, String> {
        let transaction = self.0.iter_mut().find(|transaction| transaction.id == id);
        let transaction = transaction.ok_or("There is no such transaction.")?;
        let amount = Cents::parse(&asked.amount).filter(|amount| amount.0 > 0);
        let amount = amount.ok_or("Give an amount like 48.50.")?;
        if amount > transaction.balance() {
            return Err(format!("At most {} € can still be refunded.", transaction.balance()));
        }
        let reason = asked.reason.trim();
        if reason.is_empty() || reason.chars().count() > REASON_LIMIT {
            return Err(format!("Give a reason of 1 to {REASON_LIMIT} characters."));
        }
        transaction.refunded.0 += amount.0;
        let text = format!("Refunded {amount} €: {reason}");
        transaction.history.push(HistoryEntry { time: now.to_owned(), text });
        Ok(transaction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(amount: &str, reason: &str) -> RefundForm {
        RefundForm { amount: amount.to_owned(), reason: reason.to_owned() }
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, cents) in [("48", 4_800), ("48.5", 4_850), (" 48.50 ", 4_850), ("0.07", 7)] {
            assert_eq!(Cents::parse(text), Some(Cents(cents)), "{text}");
        }
        for text in ["", ".", ".5", "-1", "1.234", "1,5", "1e3", "9999999999"] {
            assert_eq!(Cents::parse(text), None, "{text}");
        }
        assert_eq!(Cents(4_807).to_string(), "48.07");
    }

    #[test]
    fn no_more_is_refunded_than_was_paid() {
        let mut ledger = Ledger::new("now");
        let refund = |ledger: &mut Ledger, amount, reason| {
            ledger.refund("TX-1042", &asked(amount, reason), "later").map(Transaction::status)
        };
        assert!(refund(&mut ledger, "48.51", "x").is_err(), "more than was paid");
        assert!(refund(&mut ledger, "0", "x").is_err(), "nothing");
        assert!(refund(&mut ledger, "10", "  ").is_err(), "no reason");
        assert_eq!(refund(&mut ledger, "10", "x"), Ok("partly refunded"));
        assert!(refund(&mut ledger, "38.51", "x").is_err(), "more than is left");
        assert_eq!(refund(&mut ledger, "38.50", "x"), Ok("refunded"));
        assert!(refund(&mut ledger, "0.01", "x").is_err(), "twice");
        assert_eq!(ledger.find("TX-1042").expect("there").history.len(), 3);
    }
}
