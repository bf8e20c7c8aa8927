//! Owns a timestamp authority of the tests, made by openssl: a root, certificates below it, and
//! answers to requests. What openssl says of an answer is asked here, too.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

const CONFIG: &str = "\
[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\n\
policy=p\nunique_subject=no\n[p]\ncommonName=supplied\n\
[root]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n\
[tsa]\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n\
[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=unused\n\
[ts]\ndefault_tsa=t\n[t]\nserial=serial-of-stamps\ncrypto_device=builtin\nsigner_digest=sha256\n\
default_policy=1.2.3.4.1\nother_policies=1.2.3.4.5\ndigests=sha256\naccuracy=secs:1\n\
ordering=yes\ntsa_name=no\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n";

/// Kinds of keys.
pub(crate) const P256: [&str; 3] = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
pub(crate) const P384: [&str; 3] = ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
pub(crate) const RSA: [&str; 3] = ["rsa", "-pkeyopt", "rsa_keygen_bits:2048"];

/// From when to when a certificate is valid.
pub(crate) type Validity = (&'static str, &'static str);
pub(crate) const NOW: Validity = ("20200101000000Z", "20980101000000Z");

/// An authority with a root of its own.
#[derive(Debug)]
pub(crate) struct Authority(TempDir, Mutex<()>);

/// Run openssl in `folder`; whether it is content, and what it says.
fn openssl(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output();
    let output = output.expect("openssl is installed (scripts/setup does it)");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn done(folder: &Path, arguments: &[&str]) {
    let (good, text) = openssl(folder, arguments);
    assert!(good, "openssl {arguments:?}: {text}");
}

impl Authority {
    /// One whose certificate `tsa` was issued by the root.
    pub(crate) fn new(kind: [&str; 3], validity: Validity) -> Self {
        let own = Self(tempfile::tempdir().expect("a folder"), Mutex::new(()));
        for (name, text) in
            [("config", CONFIG), ("index", ""), ("serial", "01"), ("serial-of-stamps", "01")]
        {
            std::fs::write(own.at(name), text).expect("written");
        }
        own.issue("ca", kind, "root", "ca", ("20190101000000Z", "20990101000000Z"));
        own.issue("tsa", kind, "tsa", "ca", validity);
        own
    }

    /// One whose certificate was issued by another below the root.
    pub(crate) fn below_another(kind: [&str; 3]) -> Self {
        let own = Self::new(kind, NOW);
        own.issue("between", kind, "root", "ca", NOW);
        own.issue("tsa", kind, "tsa", "between", NOW);
        own
    }

    fn issue(&self, name: &str, kind: [&str; 3], what: &str, by: &str, valid: Validity) {
        let folder = self.0.path();
        let (key, asked, out) =
            (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let subject = format!("/CN=Test {name}");
        let ask = ["req", "-new", "-nodes", "-config", "config", "-subj", &subject, "-newkey"];
        done(folder, &[&ask[..], &kind, &["-keyout", &key, "-out", &asked]].concat());
        let (issuer, issuers_key) = (format!("{by}.pem"), format!("{by}.key"));
        let from = if by == name { vec!["-selfsign"] } else { vec!["-cert", issuer.as_str()] };
        let (start, end) = valid;
        let sign = [
            "ca",
            "-batch",
            "-notext",
            "-config",
            "config",
            "-keyfile",
            &issuers_key,
            "-in",
            &asked,
            "-out",
            &out,
            "-extensions",
            what,
            "-startdate",
            start,
            "-enddate",
            end,
        ];
        done(folder, &[&sign[..], &from].concat());
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The root, in PEM.
    pub(crate) fn root(&self) -> PathBuf {
        self.at("ca.pem")
    }

    /// Its answer to `request`; `with` are further certificates to put into it.
    pub(crate) fn answer(&self, request: &[u8], with: Option<&str>) -> Vec<u8> {
        let _one = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::write(self.at("tsq"), request).expect("written");
        let answer = [
            "ts",
            "-reply",
            "-config",
            "config",
            "-section",
            "t",
            "-queryfile",
            "tsq",
            "-signer",
            "tsa.pem",
            "-inkey",
            "tsa.key",
            "-out",
            "tsr",
        ];
        let more = with.map_or(vec![], |file| vec!["-chain", file]);
        done(self.0.path(), &[&answer[..], &more].concat());
        std::fs::read(self.at("tsr")).expect("an answer")
    }

    /// Its answer to `request` when its clock says `time`. `openssl ts` has no clock but the
    /// host's: its answer is taken apart, dated and signed anew.
    pub(crate) fn answer_at(&self, request: &[u8], time: jiff::Timestamp) -> Vec<u8> {
        let answer = self.answer(request, None);
        let _one = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.0.path();
        std::fs::write(self.at("now"), answer).expect("written");
        done(folder, &["ts", "-reply", "-in", "now", "-token_out", "-out", "token"]);
        let open = ["cms", "-verify", "-noverify", "-inform", "DER", "-in", "token", "-binary"];
        done(folder, &[&open[..], &["-out", "info"]].concat());
        let mut info = std::fs::read(self.at("info")).expect("what is signed");
        // A GeneralizedTime of 15 letters.
        let at = info.windows(2).position(|two| two == [0x18, 15]).expect("a time") + 2;
        info[at..at + 15].copy_from_slice(time.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes());
        std::fs::write(self.at("info"), info).expect("written");
        let sign =
            ["cms", "-sign", "-binary", "-nodetach", "-nosmimecap", "-cades", "-md", "sha256"];
        let what =
            ["-econtent_type", "1.2.840.113549.1.9.16.1.4", "-in", "info", "-outform", "DER"];
        let by = ["-signer", "tsa.pem", "-inkey", "tsa.key", "-out", "token"];
        done(folder, &[&sign[..], &what, &by].concat());
        let token = std::fs::read(self.at("token")).expect("a token");
        // TimeStampResp: the status granted (0), and the token.
        let inside = [&[0x30, 3, 2, 1, 0][..], &token].concat();
        let length = u16::try_from(inside.len()).expect("it is small").to_be_bytes();
        [&[0x30, 0x82][..], &length, &inside].concat()
    }
}

/// Whether openssl accepts the answer `tsr` over `data` at the moment it states.
pub(crate) fn stock(data: &[u8], tsr: &[u8], root: &Path, at: jiff::Timestamp) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("data"), data).expect("written");
    std::fs::write(folder.path().join("tsr"), tsr).expect("written");
    let (root, at) = (root.to_str().expect("text"), at.as_second().to_string());
    let check = ["ts", "-verify", "-data", "data", "-in", "tsr", "-CAfile", root, "-attime", &at];
    openssl(folder.path(), &check).0
}
