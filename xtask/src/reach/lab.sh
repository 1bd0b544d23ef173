# The laboratory of one cell: a node on the public network and two members, each behind a router of its kind.
#
#   lab.sh KIND KIND     makes the namespaces `hub`, `a` and `b`, and those of the routers between
#
#                 ┌────────── core router ─────────┐          this namespace
#   hub ──────────┤  198.18.1.0/24, 2001:db8:1::/64├── a-nat ── a
#                 └────────────────────────────────┴── b-nat ── b
#
# It runs as the first command in network, mount and process namespaces of its own, and leaves nothing behind when these
# end. Routers drop what nobody asked for: a packet that they answered themselves would leave an entry that takes the port
# a hole-punching peer needs a moment later.
set -eu

# Names of network namespaces live in /run/netns, and one file of hosts serves all.
mount -t tmpfs tmpfs /run
mkdir /run/netns
printf '127.0.0.1 localhost\n::1 localhost\n198.18.1.1 hub.example\n2001:db8:1::1 hub.example\n' >/run/hosts
mount --bind /run/hosts /etc/hosts

# Of which seconds a router keeps a mapping. RFC 4787 wants 120 at least.
MAPPED=120

# at NAME COMMAND…
at() { ip netns exec "$@"; }

# Makes a namespace.
space() {
  ip netns add "$1"
  ip -n "$1" link set lo up
  at "$1" sh -c 'for v in all default; do
    echo 0 >/proc/sys/net/ipv6/conf/$v/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/$v/accept_ra
    echo 0 >/proc/sys/net/ipv4/conf/$v/rp_filter; echo 0 >/proc/sys/net/ipv4/conf/$v/send_redirects
  done'
}

FORWARDS="echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"

# public NAME NUMBER: a link to the core router, with an address of each family
public() {
  v4=198.18.1.$2 v6=2001:db8:1::$2
  ip link add "p$2" type veth peer name eth0 netns "$1"
  ip link set "p$2" up
  ip -n "$1" link set eth0 up
  ip addr add 198.18.0.1/32 dev "p$2"
  ip addr add fe80::1/64 dev "p$2" nodad
  ip -n "$1" addr add "$v4/32" dev eth0
  ip -n "$1" addr add "$v6/128" dev eth0 nodad
  ip route add "$v4/32" dev "p$2"
  ip -6 route add "$v6/128" dev "p$2"
  ip -n "$1" route add 198.18.0.1/32 dev eth0 src "$v4"
  ip -n "$1" route add default via 198.18.0.1 dev eth0 src "$v4"
  ip -n "$1" -6 route add default via fe80::1 dev eth0 src "$v6"
}

# inside NAME ROUTER LAN: a host, or another router, on a router's local network 192.168.LAN.0/24
inside() {
  ip -n "$1" link add eth0 type veth peer name lan netns "$2"
  ip -n "$2" link set lan up
  ip -n "$1" link set eth0 up
  ip -n "$2" addr add "192.168.$3.1/24" dev lan
  ip -n "$1" addr add "192.168.$3.10/24" dev eth0
  ip -n "$1" route add default via "192.168.$3.1"
}

# inside6 NAME ROUTER NUMBER: the same with a routed prefix of IPv6 alone
inside6() {
  ip -n "$1" link add eth0 type veth peer name lan netns "$2"
  ip -n "$2" link set lan up
  ip -n "$1" link set eth0 up
  ip -n "$2" addr add fe80::1/64 dev lan nodad
  ip -n "$2" addr add "2001:db8:100$3::1/64" dev lan nodad
  ip -n "$1" addr add "2001:db8:100$3::10/64" dev eth0 nodad
  ip -n "$1" -6 route add default via fe80::1 dev eth0
  ip -6 route add "2001:db8:100$3::/64" via "2001:db8:1::$3" dev "p$3"
}

# firewall ROUTER RULE: forwards what was asked for from inside, and what RULE lets out
firewall() {
  at "$1" nft -f - <<END
table inet fw {
  chain input {
    type filter hook input priority 0; policy accept;
    iifname "eth0" ct state new meta l4proto { tcp, udp } drop
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "lan" oifname "eth0" $2 accept
    ct status dnat accept
  }
}
END
}

# One mapping for an endpoint inside, whoever it sends to (endpoint-independent mapping, RFC 4787): the outside ports are of
# one range, and the kernel reuses an endpoint's live mapping for new destinations. It never keeps the port of the inside.
# What came out is written down after translation; by that alone, packets come in: $2 is `full` (from anywhere), `addr`
# (from addresses that were sent to), or `port` (connection tracking lets in what answers).
translate() {
  let_in=
  case $2 in
    full) let_in='iifname "eth0" meta l4proto udp dnat ip to udp dport map @mapped' ;;
    addr) let_in='iifname "eth0" meta l4proto udp udp dport . ip saddr @sent dnat ip to udp dport map @mapped' ;;
  esac
  at "$1" sh -c "echo $MAPPED >/proc/sys/net/netfilter/nf_conntrack_udp_timeout
    echo $MAPPED >/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream"
  at "$1" nft -f - <<END
table ip nat {
  map mapped { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; size 65535; }
  set sent { type inet_service . ipv4_addr; flags dynamic,timeout; size 65535; }
  chain post {
    type nat hook postrouting priority 100; policy accept;
    oifname "eth0" ip saddr 192.168.0.0/16 meta l4proto udp masquerade to :12000-12249
    oifname "eth0" ip saddr 192.168.0.0/16 masquerade
  }
  chain record {
    type filter hook postrouting priority 150; policy accept;
    oifname "eth0" ct direction original meta l4proto udp update @mapped { udp sport timeout ${MAPPED}s : ct original ip saddr . ct original proto-src }
    oifname "eth0" meta l4proto udp update @sent { udp sport . ip daddr timeout ${MAPPED}s }
  }
  chain pre {
    type nat hook prerouting priority -100; policy accept;
    $let_in
  }
}
END
}

# Another mapping for each destination (address and port-dependent mapping).
translate_anew() {
  at "$1" nft -f - <<END
table ip nat {
  chain post {
    type nat hook postrouting priority 100; policy accept;
    oifname "eth0" ip saddr 192.168.0.0/16 masquerade fully-random
  }
}
END
}

# A namespace that forwards.
router() {
  space "$1"
  at "$1" sh -c "$FORWARDS"
}

# member NAME KIND NUMBER
member() {
  name=$1 nat=$1-nat number=$3
  space "$name"
  case $2 in
    public) public "$name" "$number"; return ;;
    cgnat)
      # A home router behind the provider's, both with one mapping for an endpoint.
      router "$1-isp"
      public "$1-isp" "$number"
      router "$nat"
      inside "$nat" "$1-isp" "$((number + 20))"
      firewall "$1-isp" 'meta nfproto ipv4'
      translate "$1-isp" port ;;
    *)
      router "$nat"
      public "$nat" "$number" ;;
  esac
  case $2 in
    v6only) inside6 "$name" "$nat" "$number" ;;
    *) inside "$name" "$nat" "$number" ;;
  esac
  case $2 in
    full | addr | port) firewall "$nat" 'meta nfproto ipv4'; translate "$nat" "$2" ;;
    cgnat) firewall "$nat" 'meta nfproto ipv4'; translate "$nat" port ;;
    symmetric) firewall "$nat" 'meta nfproto ipv4'; translate_anew "$nat" ;;
    noudp) firewall "$nat" 'meta nfproto ipv4 meta l4proto tcp'; translate_anew "$nat" ;;
    only443) firewall "$nat" 'meta nfproto ipv4 tcp dport 443'; translate_anew "$nat" ;;
    v6only) firewall "$nat" 'meta nfproto ipv6' ;;
    *) echo "there is no kind $2" >&2; exit 2 ;;
  esac
}

ip link set lo up
sh -c "$FORWARDS"
for v in all default; do
  echo 0 >/proc/sys/net/ipv4/conf/$v/rp_filter
  echo 0 >/proc/sys/net/ipv6/conf/$v/accept_dad
done
space hub
public hub 1
member a "$1" 2
member b "$2" 3
