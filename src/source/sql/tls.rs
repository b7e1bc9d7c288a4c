//! Encrypted connections: the server's certificate is always verified, against the system's authorities or those of a file.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::error::SqlError;

/// What is trusted: the certificates of a file, or the system's.
pub(super) fn roots(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, SqlError> {
    let Some(path) = file else {
        let found = rustls_native_certs::load_native_certs();
        return if found.certs.is_empty() {
            let error = SqlError::new("this system has no certificates of authorities to verify the server by");
            Err(error.hint("install them (ca-certificates), or name a file by `sslrootcert`"))
        } else {
            Ok(found.certs)
        };
    };
    let unreadable = |why: String| {
        let error = SqlError::new(format!("the certificates of `sslrootcert` ({}) cannot be read: {why}", path.display()));
        error.hint("it is a file of certificates in PEM form")
    };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(error.to_string()))?;
    if certificates.is_empty() { Err(unreadable("there is none in it".to_owned())) } else { Ok(certificates) }
}

/// What to do about a certificate that is not trusted.
pub(super) fn hint(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Why;
    match error {
        rustls::Error::InvalidCertificate(Why::UnknownIssuer) => {
            "its authority is not known here: name its certificate in the address, `?sslrootcert=/path/to/ca.pem`"
        }
        rustls::Error::InvalidCertificate(Why::NotValidForName | Why::NotValidForNameContext { .. }) => {
            "the certificate is another host's: connect by the name that it was made for"
        }
        rustls::Error::InvalidCertificate(Why::Expired | Why::ExpiredContext { .. }) => "the certificate has expired",
        _ => "certificates are always verified; on a network that is trusted, `?sslmode=disable` leaves encryption out",
    }
}

/// A client that trusts these certificates alone.
#[cfg(feature = "postgres")]
pub(super) fn client(roots: Vec<CertificateDer<'static>>) -> Result<Arc<rustls::ClientConfig>, SqlError> {
    let mut store = rustls::RootCertStore::empty();
    let (good, _) = store.add_parsable_certificates(roots);
    if good == 0 {
        return Err(SqlError::new("none of the certificates to verify the server by can be used"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| SqlError::new(format!("TLS cannot be used: {error}")))?;
    Ok(Arc::new(builder.with_root_certificates(store).with_no_client_auth()))
}

/// The error of TLS among the causes of an error.
pub(super) fn cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        // An I/O error hides what it holds.
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The I/O error among the causes of an error.
pub(super) fn io_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a std::io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}
