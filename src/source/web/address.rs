//! How private an address is, and the guard that checks it at each connection: a page must not lead a crawler to what its author
//! cannot reach. The address is checked, not the name, and when it is connected to: a name may lead elsewhere a second later.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// How few can reach an address, from all to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Reach {
    /// Everyone.
    Public,
    /// The customers of one carrier (100.64.0.0/10), or of one proxy: 198.18.0.0/15 is where those that answer each name with an
    /// address of their own put all of them.
    Shared,
    /// One network: RFC 1918, unique local.
    Private,
    /// One link. 169.254.169.254 is where a cloud's machines are given their keys.
    LinkLocal,
    /// This machine.
    Loopback,
    /// None: unspecified, multicast, broadcast, reserved.
    Never,
}

impl Reach {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    /// By IANA's registry of special-purpose addresses.
    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Self::Private,
            [100, 64..=127, ..] | [198, 18 | 19, ..] => Self::Shared,
            [127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [0 | 224.., ..] => Self::Never,
            _ => Self::Public,
        }
    }

    /// Of those that carry an IPv4 address, that one counts.
    fn of_v6(address: Ipv6Addr) -> Self {
        let inner = |high: u16, low: u16| Self::of_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            // Mapped, compatible (`::` is one), NAT64, 6to4.
            [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
                inner(high, low)
            }
            [0x64, 0xff9b, 1, .., high, low] => inner(high, low).max(Self::Private),
            // Teredo.
            [0x2001, 0, .., high, low] => inner(!high, !low),
            [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Self::Never,
            [0x2000..=0x3fff, ..] => Self::Public,
            [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Self::Private,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            _ => Self::Never,
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Shared => "shared",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
            Self::Never => "reserved",
        })
    }
}

/// Why there is no address to connect to.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum AddressError {
    /// There is one that must not be connected to.
    #[error("{host} is at a {reach} address ({address}), and the site began at a {most} one")]
    Refused { host: String, address: IpAddr, reach: Reach, most: Reach },
    /// Nobody can be reached there.
    #[error("{host} is at a reserved address ({address}), which nobody can be reached at")]
    Nowhere { host: String, address: IpAddr },
    /// The name has none.
    #[error("the name {host} cannot be resolved")]
    Unknown { host: String, source: Arc<io::Error> },
}

impl AddressError {
    /// The same, of a host by another name.
    fn of(self, name: &str) -> Self {
        let host = name.to_owned();
        match self {
            Self::Refused { address, reach, most, .. } => Self::Refused { host, address, reach, most },
            Self::Nowhere { address, .. } => Self::Nowhere { host, address },
            Self::Unknown { source, .. } => Self::Unknown { host, source },
        }
    }
}

/// Lets nothing be connected to that is more private than what the site began with.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    /// The hosts that began, each with how private it was when it was first connected to: of a name that is not known before, and
    /// from then on it leads to nothing more private.
    own: Arc<Mutex<BTreeMap<String, Option<Reach>>>>,
    /// What other hosts are held to while none of those is known.
    others: Reach,
}

impl Guard {
    /// The guard of sites that begin here. Each leads to what is as private as itself; hosts that are none of theirs, to what is as
    /// private as the least private of them: one in this machine lets no other look into it.
    pub(super) fn of(seeds: &[Url]) -> Self {
        let own = seeds.iter().filter_map(|seed| Some((seed.host_str()?.to_owned(), written(seed).map(Reach::of))));
        Self { own: Arc::new(Mutex::new(own.collect())), others: Reach::Public }
    }

    /// Checks the address that is written in a URL; a name is checked when it is resolved. An HTTP client resolves names alone, so
    /// each URL has to come by here.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), AddressError> {
        let (Some(host), Some(address)) = (url.host_str(), written(url)) else { return Ok(()) };
        let checked = self.allowed(host, &[SocketAddr::new(address, 0)]);
        // Its address is its name.
        checked.map(drop).map_err(|error| error.of("the server"))
    }

    /// Those of the addresses of a host that may be connected to.
    fn allowed(&self, host: &str, found: &[SocketAddr]) -> Result<Vec<SocketAddr>, AddressError> {
        let most = self.most(host, found);
        let allowed: Vec<SocketAddr> = found.iter().copied().filter(|address| is_allowed(address.ip(), most)).collect();
        // The least private is what says most about the site.
        let refused = found.iter().map(SocketAddr::ip).min_by_key(|address| Reach::of(*address));
        match refused {
            Some(address) if allowed.is_empty() => {
                let (host, reach) = (host.to_owned(), Reach::of(address));
                Err(if reach == Reach::Never {
                    AddressError::Nowhere { host, address }
                } else {
                    AddressError::Refused { host, address, reach, most }
                })
            }
            _ => Ok(allowed),
        }
    }

    /// How private what a host leads to may be.
    fn most(&self, host: &str, found: &[SocketAddr]) -> Reach {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        match own.get_mut(host) {
            Some(known) => *known.get_or_insert_with(|| least(found)),
            None => own.values().flatten().min().copied().unwrap_or(self.others),
        }
    }
}

/// Whether an address may be connected to by a site that began so. What is at a link-local address gives keys to whoever asks:
/// only a site that is there itself leads to such, not even one on this machine.
fn is_allowed(address: IpAddr, most: Reach) -> bool {
    let reach = Reach::of(address);
    reach <= most && reach != Reach::Never && (reach != Reach::LinkLocal || most == reach)
}

/// The address that is written in a URL.
fn written(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Of several addresses the least private counts: the others are not needed.
fn least(found: &[SocketAddr]) -> Reach {
    found.iter().map(|address| Reach::of(address.ip())).min().unwrap_or(Reach::Public)
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = addresses(name.as_str()).await?;
            let allowed = guard.allowed(name.as_str(), &found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Where the host of a URL is.
pub(super) async fn addresses_of(url: &Url) -> Result<Vec<IpAddr>, AddressError> {
    match (written(url), url.host_str()) {
        (Some(address), _) => Ok(vec![address]),
        (None, Some(name)) => Ok(addresses(name).await?.iter().map(SocketAddr::ip).collect()),
        (None, None) => Ok(Vec::new()),
    }
}

async fn addresses(name: &str) -> Result<Vec<SocketAddr>, AddressError> {
    let unknown = |source: io::Error| AddressError::Unknown { host: name.to_owned(), source: Arc::new(source) };
    let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await.map_err(unknown)?.collect();
    if found.is_empty() { Err(unknown(io::ErrorKind::NotFound.into())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

    use proptest::prelude::*;

    use super::*;

    /// A guard of a site whose host is nobody's here.
    fn guard(most: Reach) -> Guard {
        let own = BTreeMap::from([("own.example".to_owned(), Some(most))]);
        Guard { own: Arc::new(Mutex::new(own)), others: Reach::Public }
    }

    fn reach(address: &str) -> Reach {
        Reach::of(address.parse().unwrap())
    }

    #[test]
    fn every_range_has_its_reach() {
        let of = [
            (Reach::Public, "1.1.1.1 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 198.17.0.1 223.255.255.255 9.9.9.9"),
            (Reach::Public, "2606:4700::1111 ::ffff:1.1.1.1 64:ff9b::101:101 2002:101:101::1 2001:200::1 3fff:1000::1"),
            (Reach::Shared, "100.64.0.1 100.127.255.255 198.18.0.7 198.19.255.255 ::ffff:100.64.0.1"),
            (Reach::Private, "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 fc00::1 fdff::1 fec0::1 ::ffff:10.0.0.1"),
            (Reach::Private, "64:ff9b::a00:1 64:ff9b:1::101:101 2002:c0a8:101::1 ::10.0.0.1 2001:0:1:2:3:4:f5ff:fffe"),
            (Reach::LinkLocal, "169.254.169.254 fe80::1 febf::1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::"),
            (Reach::Loopback, "127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1 2002:7f00:1::"),
            (Reach::Never, "0.0.0.0 0.1.2.3 224.0.0.1 240.0.0.1 255.255.255.255 192.0.2.1 198.51.100.1 203.0.113.9 192.0.0.1"),
            (Reach::Never, ":: ff02::1 2001:db8::1 3fff:fff::1 100::1 4000::1 ::ffff:0.0.0.0 5f00::1"),
        ];
        for (expected, addresses) in of {
            for address in addresses.split(' ') {
                assert_eq!(reach(address), expected, "{address}");
            }
        }
    }

    #[test]
    fn nothing_more_private_than_the_beginning_is_allowed() {
        let one_each = ["1.1.1.1", "100.64.0.1", "10.0.0.1", "169.254.169.254", "127.0.0.1", "0.0.0.0"];
        let allowed = |most| one_each.map(|address| u8::from(is_allowed(address.parse().unwrap(), most)));
        assert_eq!(allowed(Reach::Public), [1, 0, 0, 0, 0, 0]);
        assert_eq!(allowed(Reach::Shared), [1, 1, 0, 0, 0, 0]);
        assert_eq!(allowed(Reach::Private), [1, 1, 1, 0, 0, 0]);
        assert_eq!(allowed(Reach::LinkLocal), [1, 1, 1, 1, 0, 0]);
        assert_eq!(allowed(Reach::Loopback), [1, 1, 1, 0, 1, 0]);
        assert_eq!(allowed(Reach::Never), [1, 1, 1, 0, 1, 0]);
    }

    #[test]
    fn an_address_in_a_url_is_checked_in_all_its_spellings() {
        let public = guard(Reach::Public);
        for host in ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1.", "[::1]", "[::ffff:7f00:1]"] {
            let error = public.check_url(&format!("http://{host}:8080/a").parse().unwrap()).unwrap_err().to_string();
            assert!(error.contains("loopback address") && error.ends_with("and the site began at a public one"), "{error}");
        }
        public.check_url(&"http://1.1.1.1/".parse().unwrap()).unwrap();
        public.check_url(&"http://example.org/".parse().unwrap()).unwrap();
        let error = guard(Reach::Loopback).check_url(&"http://0.0.0.0/".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "the server is at a reserved address (0.0.0.0), which nobody can be reached at");
    }

    #[tokio::test]
    async fn names_are_checked_by_what_they_lead_to() {
        let name = || "localhost".parse::<Name>().unwrap();
        let error = guard(Reach::Private).resolve(name()).await.err().unwrap();
        let said = error.to_string();
        assert!(said.starts_with("localhost is at a loopback address (") && said.ends_with("began at a private one"), "{said}");
        assert!(guard(Reach::Loopback).resolve(name()).await.unwrap().all(|address| address.ip().is_loopback()));
        let reaches = async |url: &str| -> Vec<Reach> {
            addresses_of(&url.parse().unwrap()).await.unwrap().into_iter().map(Reach::of).collect()
        };
        assert!(reaches("http://localhost:1/").await.iter().all(|reach| *reach == Reach::Loopback));
        assert_eq!(reaches("http://[::ffff:10.0.0.1]/").await, [Reach::Private]);
        let none = addresses_of(&"http://nowhere.invalid/".parse().unwrap()).await.unwrap_err();
        assert_eq!(none.to_string(), "the name nowhere.invalid cannot be resolved");
    }

    #[test]
    fn of_several_addresses_the_allowed_ones_are_kept() {
        let both = ["10.0.0.5:0".parse().unwrap(), "1.1.1.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
        assert_eq!(guard(Reach::Public).allowed("a", &both).unwrap(), [both[1]]);
        assert_eq!(guard(Reach::Private).allowed("a", &both).unwrap(), both[..2]);
        let error = guard(Reach::Public).allowed("a.example", &[both[2], both[0]]).unwrap_err();
        assert_eq!(error.to_string(), "a.example is at a private address (10.0.0.5), and the site began at a public one");
    }

    #[test]
    fn a_site_in_this_machine_lets_no_other_look_into_it() {
        let seeds = ["https://docs.example/", "http://127.0.0.1:8000/", "http://wiki.corp/"].map(|seed| seed.parse().unwrap());
        let guard = Guard::of(&seeds);
        let at = |host: &str, address: &str| guard.allowed(host, &[SocketAddr::new(address.parse().unwrap(), 0)]).is_ok();
        assert!(at("127.0.0.1", "127.0.0.1") && guard.check_url(&seeds[1]).is_ok());
        // The first connection tells how private a name is.
        assert!(at("wiki.corp", "10.0.0.5") && at("files.corp", "10.0.0.6"), "so far nothing less private is known");
        assert!(at("docs.example", "1.1.1.1"));
        assert!(!at("files.corp", "10.0.0.6") && at("wiki.corp", "10.0.0.7") && !at("wiki.corp", "127.0.0.1"));
        assert!(
            !at("docs.example", "127.0.0.1") && !at("docs.example", "10.0.0.5") && at("docs.example", "1.0.0.1"),
            "a name that leads elsewhere now"
        );
        assert!(
            guard.check_url(&"http://10.0.0.5/".parse().unwrap()).is_err()
                && guard.check_url(&"http://1.1.1.1/".parse().unwrap()).is_ok()
        );
        assert!(guard.check_url(&"http://[::1]/".parse().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_as_private_in_each_ipv6_that_carries_it(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            let [high, low] = [(bits >> 16) as u16, bits as u16];
            let carried = [v4.to_ipv6_mapped(), Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1), Ipv6Addr::new(0x2001, 0, 9, 9, 0, 0, !high, !low)];
            for v6 in carried {
                prop_assert_eq!(Reach::of(v6.into()), Reach::of(v4.into()));
            }
        }

        #[test]
        fn who_began_more_privately_may_go_wherever_others_may(bits: u128) {
            let address = IpAddr::V6(bits.into());
            let allowed = [Reach::Public, Reach::Shared, Reach::Private, Reach::Loopback].map(|most| is_allowed(address, most));
            prop_assert!(allowed.is_sorted());
        }
    }
}
