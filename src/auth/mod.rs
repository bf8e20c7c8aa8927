//! Owns who is calling, whether they meant this daemon, and what that lets them do: the kernel's word on a socket, API keys, sessions of
//! the web page; who reads everybody's runs, and who decides what is kept. Daemon, API and web page
//! all ask here.

pub mod keyring;
mod operator;
pub(crate) mod origin;
pub mod peer;
mod reader;
mod sign_in;

pub(crate) use self::operator::operator;
pub use self::reader::{may_see_all, reader_of};
pub use self::sign_in::{LINK, SignIn};
