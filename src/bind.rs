//! Opens the sockets that a server listens on.
//!
//! Invariant: all or nothing. A start that fails leaves no socket open.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs},
};

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use crate::{
    address::ListenAddr,
    error::{Error, Result},
    options::Options,
};

/// How many connections the kernel queues until they are accepted, if its own bound is not smaller.
const BACKLOG: i32 = 4096;

/// How often a free port is looked for that all addresses of a name have free.
const PORT_ATTEMPTS: usize = 16;

/// Opens the sockets of all entries of the option `listen`, in their order. A name may have several.
///
/// # Errors
/// `Listen`, with the first entry that failed.
pub(crate) fn bind(listen: &[ListenAddr], options: &Options) -> Result<Vec<TcpListener>> {
    let mut opened = Vec::new();
    for entry in listen {
        let binding = Binding { options, ipv6_only: is_ipv6_only(entry, listen, options) };
        let sockets = binding.open(entry);
        let failed = |source| Error::Listen { addr: entry.to_string(), source };
        opened.extend(sockets.map_err(failed)?);
    }
    Ok(opened)
}

/// Whether `[::]` leaves IPv4 alone: the host says so, or has given IPv4 an address with the same port.
fn is_ipv6_only(entry: &ListenAddr, listen: &[ListenAddr], options: &Options) -> bool {
    let ListenAddr::Ip(addr) = entry else { return false };
    let has_port = |other: &ListenAddr| matches!(other, ListenAddr::Ip(SocketAddr::V4(other)) if other.port() == addr.port());
    options.ipv6_only || addr.port() != 0 && listen.iter().any(has_port)
}

/// How the sockets of an entry are opened.
struct Binding<'a> {
    options: &'a Options,
    ipv6_only: bool,
}

impl Binding<'_> {
    fn open(&self, entry: &ListenAddr) -> io::Result<Vec<TcpListener>> {
        match entry {
            ListenAddr::Ip(addr) => Ok(vec![self.socket(*addr)?]),
            ListenAddr::Every(port) => Ok(vec![self.every(*port)?]),
            ListenAddr::Name(name, port) => self.all(&look_up(name)?, *port),
        }
    }

    /// Listens on every address of both families, or of IPv4 if the machine has no IPv6.
    fn every(&self, port: u16) -> io::Result<TcpListener> {
        match self.socket((Ipv6Addr::UNSPECIFIED, port).into()) {
            Err(error) if is_absent(&error) => self.socket(([0, 0, 0, 0], port).into()),
            outcome => outcome,
        }
    }

    /// Listens on the addresses of a name, all with one port. Those that this machine does not have are left out,
    /// unless it has none: `localhost` has an address of IPv6 also where there is no IPv6.
    fn all(&self, ips: &[IpAddr], port: u16) -> io::Result<Vec<TcpListener>> {
        let mut attempts = if port == 0 { PORT_ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            match self.all_at_once(ips, port) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
                outcome => return outcome,
            }
        }
    }

    fn all_at_once(&self, ips: &[IpAddr], mut port: u16) -> io::Result<Vec<TcpListener>> {
        let mut opened = Vec::with_capacity(ips.len());
        let mut absent = None;
        for (index, ip) in ips.iter().enumerate() {
            // A file of names may name an address twice.
            if ips[..index].contains(ip) {
                continue;
            }
            match self.socket((*ip, port).into()) {
                Ok(listener) => {
                    port = listener.local_addr()?.port();
                    opened.push(listener);
                }
                Err(error) if is_absent(&error) => absent = Some(error),
                Err(error) => return Err(error),
            }
        }
        if opened.is_empty() {
            let none =
                || io::Error::new(io::ErrorKind::AddrNotAvailable, "the name has no address");
            return Err(absent.unwrap_or_else(none));
        }
        Ok(opened)
    }

    fn socket(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        // Binds a port also while earlier connections of it are in TIME_WAIT.
        socket.set_reuse_address(true)?;
        if addr.is_ipv6() {
            // The machine's default for `[::]` can be either.
            socket.set_only_v6(self.ipv6_only)?;
        }
        socket.set_nonblocking(true)?;
        // On Linux accepted sockets inherit these options, which saves a system call for each of them.
        socket.set_tcp_nodelay(true)?;
        let options = self.options;
        if !options.tcp_keepalive.is_zero() {
            let idle = options.tcp_keepalive;
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(idle))?;
        }
        #[cfg(target_os = "linux")]
        if let Some(timeout) = options.user_timeout_of(false) {
            socket.set_tcp_user_timeout(Some(timeout))?;
        }
        socket.bind(&SockAddr::from(addr))?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    }
}

/// Returns the addresses of a name. Waits for the system's resolver.
fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = (name, 0).to_socket_addrs();
    let found = found.map_err(|error| io::Error::new(io::ErrorKind::AddrNotAvailable, error))?;
    Ok(found.map(|addr| addr.ip()).collect())
}

/// Whether the machine lacks an address, or a whole family.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use socket2::SockRef;

    use super::*;

    fn opened(listen: &[&str], options: &Options) -> Result<Vec<TcpListener>> {
        let listen: Vec<_> = listen.iter().map(|text| ListenAddr::parse(text).unwrap()).collect();
        bind(&listen, options)
    }

    #[test]
    fn accepted_sockets_inherit_the_options_of_the_listener() {
        let options = Options::default();
        let listener = opened(&["127.0.0.1:0"], &options).unwrap().remove(0);
        listener.set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), options.tcp_keepalive);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), options.tcp_keepalive);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), options.user_timeout_of(false));
    }

    #[test]
    fn addresses_that_the_machine_lacks_are_left_out_of_a_name_unless_it_has_none() {
        let options = Options::default();
        let binding = Binding { options: &options, ipv6_only: false };
        let here: IpAddr = [127, 0, 0, 1].into();
        let also_here: IpAddr = [127, 0, 0, 2].into();
        let elsewhere: IpAddr = [192, 0, 2, 1].into();
        let opened = binding.all(&[elsewhere, here, also_here, here], 0).unwrap();
        let addrs: Vec<_> = opened.iter().map(|one| one.local_addr().unwrap()).collect();
        assert_eq!(addrs[0].ip(), here);
        // All have the port that was free.
        assert_eq!(addrs[1], (also_here, addrs[0].port()).into());
        assert_eq!(addrs.len(), 2);
        for none in [&[elsewhere][..], &[]] {
            let error = binding.all(none, 0).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        }
        // One that is in use is never left out.
        let error = binding.all(&[elsewhere, also_here], addrs[0].port()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
