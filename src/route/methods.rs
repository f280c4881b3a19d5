//! The methods a route serves.
//!
//! The law: any method token (RFC 9110 section 9.1) unless the file lists some; CONNECT and TRACE never, since the one asks
//! for a tunnel and the other echoes credentials.

use std::fmt;

use http::Method;

/// A set of methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods(Option<Vec<Method>>);

/// Why a text is no method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodError {
    /// CONNECT or TRACE.
    Never,
    /// Not a token.
    NotAToken,
}

impl fmt::Display for MethodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "CONNECT and TRACE are never served",
            Self::NotAToken => "it is not a method",
        })
    }
}

impl Methods {
    /// Every method but CONNECT and TRACE.
    pub fn any() -> Self {
        Self(None)
    }

    /// Those named in `names`, in any case.
    pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, MethodError> {
        let mut methods = Vec::new();
        for name in names {
            let method =
                Method::from_bytes(name.to_ascii_uppercase().as_bytes()).map_err(|_| MethodError::NotAToken)?;
            if matches!(method, Method::CONNECT | Method::TRACE) {
                return Err(MethodError::Never);
            }
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        Ok(Self(Some(methods)))
    }

    /// Whether `method` is served.
    pub fn allows(&self, method: &Method) -> bool {
        match &self.0 {
            None => !matches!(*method, Method::CONNECT | Method::TRACE),
            Some(methods) => methods.contains(method),
        }
    }

    /// Whether both serve some method.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(two)) => one.iter().any(|method| two.contains(method)),
            _ => true,
        }
    }

    /// The names, for an `Allow` field. A route that serves any method names the usual ones.
    pub fn names(&self) -> Vec<&str> {
        const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        match &self.0 {
            None => USUAL.to_vec(),
            Some(methods) => methods.iter().map(Method::as_str).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case() {
        let methods = Methods::listed(["get", "PoSt", "GET"]).expect("methods");
        assert_eq!(methods.names(), ["GET", "POST"]);
        assert!(methods.allows(&Method::POST) && !methods.allows(&Method::PUT));
        assert_eq!(Methods::listed(["trace"]), Err(MethodError::Never));
        assert_eq!(Methods::listed(["GE T"]), Err(MethodError::NotAToken));
        assert!(Methods::any().allows(&Method::from_bytes(b"PURGE").expect("token")));
        assert!(!Methods::any().allows(&Method::TRACE));
    }
}
