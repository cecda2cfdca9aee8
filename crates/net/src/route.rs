//! IPv4 routes of the main table.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Netlink, Result};

/// The number of the main table.
const MAIN: u32 = 254;

/// An IPv4 route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Route {
    /// Where to.
    pub to: Ipv4Net,
    /// The next hop; none on the network itself.
    pub via: Option<Ipv4Addr>,
    /// The number of the interface it leaves by; found by the next hop where it is `None`.
    pub link: Option<u32>,
    /// Lower wins. 0 is the kernel's own.
    pub metric: u32,
    /// Who made it.
    pub protocol: Protocol,
    /// The source address of packets that start here.
    pub source: Option<Ipv4Addr>,
    /// Packets to there are discarded (`Null0`).
    #[serde(default)]
    pub blackhole: bool,
}

/// Who made a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The kernel, for a network that an interface is on.
    Kernel,
    /// The administrator.
    #[default]
    Static,
    /// The DHCP client.
    Dhcp,
    /// RIP.
    Rip,
    /// Somebody who did not say, such as a container engine.
    Boot,
    /// Another, by its number.
    Other(u8),
}

impl From<Protocol> for RouteProtocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Kernel => RouteProtocol::Kernel,
            Protocol::Static => RouteProtocol::Static,
            Protocol::Dhcp => RouteProtocol::Dhcp,
            Protocol::Rip => RouteProtocol::Rip,
            Protocol::Boot => RouteProtocol::Boot,
            Protocol::Other(number) => RouteProtocol::from(number),
        }
    }
}

impl From<RouteProtocol> for Protocol {
    fn from(protocol: RouteProtocol) -> Self {
        match protocol {
            RouteProtocol::Kernel => Protocol::Kernel,
            RouteProtocol::Static => Protocol::Static,
            RouteProtocol::Dhcp => Protocol::Dhcp,
            RouteProtocol::Rip => Protocol::Rip,
            RouteProtocol::Boot => Protocol::Boot,
            other => Protocol::Other(other.into()),
        }
    }
}

impl Route {
    /// A route by a next hop.
    pub fn via(to: Ipv4Net, via: Ipv4Addr, protocol: Protocol) -> Self {
        Self {
            to: to.trunc(),
            via: Some(via),
            link: None,
            metric: 0,
            protocol,
            source: None,
            blackhole: false,
        }
    }

    /// The same with a metric.
    #[must_use]
    pub fn metric(mut self, metric: u32) -> Self {
        self.metric = metric;
        self
    }

    /// Whether it is the default route.
    pub fn is_default(&self) -> bool {
        self.to.prefix_len() == 0
    }

    /// Reads the kernel's message; `None` for what is not a unicast IPv4 route of the main table.
    pub(crate) fn read(message: &RouteMessage) -> Option<Self> {
        let header = &message.header;
        let blackhole = header.kind == RouteType::BlackHole;
        if header.kind != RouteType::Unicast && !blackhole {
            return None;
        }
        let mut to = Ipv4Addr::UNSPECIFIED;
        let mut table = u32::from(header.table);
        let mut route = Route {
            to: Ipv4Net::default(),
            via: None,
            link: None,
            metric: 0,
            protocol: header.protocol.into(),
            source: None,
            blackhole,
        };
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(RouteAddress::Inet(address)) => to = *address,
                RouteAttribute::Gateway(RouteAddress::Inet(address)) => route.via = Some(*address),
                RouteAttribute::PrefSource(RouteAddress::Inet(a)) => route.source = Some(*a),
                RouteAttribute::Oif(index) => route.link = Some(*index),
                RouteAttribute::Priority(metric) => route.metric = *metric,
                RouteAttribute::Table(number) => table = *number,
                _ => {}
            }
        }
        route.to = Ipv4Net::new(to, header.destination_prefix_length).ok()?;
        (table == MAIN).then_some(route)
    }

    fn message(&self) -> RouteMessage {
        let mut builder = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(self.to.network(), self.to.prefix_len())
            .protocol(self.protocol.into());
        if let Some(via) = self.via {
            builder = builder.gateway(via);
        } else if !self.blackhole {
            builder = builder.scope(RouteScope::Link);
        }
        if let Some(link) = self.link {
            builder = builder.output_interface(link);
        }
        if self.metric != 0 {
            builder = builder.priority(self.metric);
        }
        if let Some(source) = self.source {
            builder = builder.pref_source(source);
        }
        if self.blackhole {
            builder = builder.kind(RouteType::BlackHole);
        }
        builder.build()
    }
}

impl Netlink {
    /// The IPv4 routes of the main table.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub async fn routes(&self) -> Result<Vec<Route>> {
        let all = || RouteMessageBuilder::<Ipv4Addr>::new().build();
        let messages: Vec<RouteMessage> =
            self.list("listing routes", || self.handle.route().get(all()).execute()).await?;
        Ok(messages.iter().filter_map(Route::read).collect())
    }

    /// Sets a route; one to the same place with the same metric is replaced.
    ///
    /// # Errors
    /// When the kernel refuses, as for a next hop on no network of the node (`ENETUNREACH`).
    pub async fn replace_route(&self, route: &Route) -> Result<()> {
        let done = self.handle.route().add(route.message()).replace().execute().await;
        done.map_err(|error| Error::netlink(format!("setting the route {}", words(route)), error))
    }

    /// Removes a route; one that is not there is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn delete_route(&self, route: &Route) -> Result<()> {
        let mut message = route.message();
        // A route is removed whatever its scope is.
        message.header.scope = RouteScope::NoWhere;
        let done = self.handle.route().del(message).execute().await;
        let done = done
            .map_err(|error| Error::netlink(format!("removing the route {}", words(route)), error));
        crate::error::ignoring(done, &[libc::ESRCH, libc::ENODEV])
    }
}

fn words(route: &Route) -> String {
    match route.via {
        Some(via) => format!("to {} by {via}", route.to),
        None => format!("to {}", route.to),
    }
}
