# The laboratory of one cell: a node on the public network and two members, each behind a router of its kind.
#
#   lab.sh KIND KIND          makes the namespaces `hub`, `a` and `b`, and those of the routers between
#   lab.sh --two KIND KIND    the same, and `a` has a second uplink, `eth1`, through another router of its kind
#   lab.sh --move MOVE KIND   changes the network of `a`: `switch`, `back` (from one uplink to the other), `address`, `first`
#                             (another address, and the first one again), `down`, `up` (the link), `flush` (its router forgets)
#
#                 ┌────────── core router ─────────┐          this namespace
#   hub ──────────┤  198.18.1.0/24, 2001:db8:1::/64├── a-nat ── a
#                 └────────────────────────────────┴── b-nat ── b
#
# It runs as the first command in network, mount and process namespaces of its own, and leaves nothing behind when these
# end. Routers drop what nobody asked for: a packet that they answered themselves would leave an entry that takes the port
# a hole-punching peer needs a moment later.
set -eu

# at NAME COMMAND…
at() { ip netns exec "$@"; }

# own_public NAME NUMBER DEVICE METRIC: addresses of the public network and routes over a device
own_public() {
  ip -n "$1" addr replace "198.18.1.$2/32" dev "$3"
  ip -n "$1" addr replace "2001:db8:1::$2/128" dev "$3" nodad
  ip -n "$1" route replace 198.18.0.1/32 dev "$3" src "198.18.1.$2" metric "$4"
  ip -n "$1" route replace default via 198.18.0.1 dev "$3" src "198.18.1.$2" metric "$4"
  ip -n "$1" -6 route replace default via fe80::1 dev "$3" src "2001:db8:1::$2" metric "$4"
}

# own_private NAME LAN NUMBER DEVICE METRIC: the same in a router's local network
own_private() {
  ip -n "$1" addr replace "192.168.$2.$3/24" dev "$4"
  ip -n "$1" route replace default via "192.168.$2.1" dev "$4" metric "$5"
}

# own KIND NUMBER: the first uplink of `a`, with an address that ends so; the public network's are 2 and 12
own() {
  case $1 in
    public)
      ip route replace "198.18.1.$2/32" dev p2
      ip -6 route replace "2001:db8:1::$2/128" dev p2
      own_public a "$2" eth0 100 ;;
    *) own_private a 2 "$((10 + $2))" eth0 100 ;;
  esac
}

# second KIND: the second uplink, which others do not use while there is the first one
second() {
  case $1 in
    public) own_public a 4 eth1 200 ;;
    *) own_private a 4 10 eth1 200 ;;
  esac
}

move() {
  case $1 in
    switch) ip -n a link set eth1 up; second "$2"; ip -n a link set eth0 down ;;
    back) ip -n a link set eth0 up; own "$2" 2; ip -n a link set eth1 down ;;
    address) ip -n a addr flush dev eth0 scope global; own "$2" 12 ;;
    first) ip -n a addr flush dev eth0 scope global; own "$2" 2 ;;
    # The other end of the cable, so that what is set here stays.
    down) case $2 in public) ip link set p2 down ;; *) ip -n a-nat link set lan down ;; esac ;;
    up)
      case $2 in
        public)
          ip link set p2 up
          ip addr replace fe80::1/64 dev p2 nodad
          own public 2 ;;
        *) ip -n a-nat link set lan up ;;
      esac ;;
    # Masquerading drops the entries of an address that goes. The range of its ports is another one afterwards.
    flush)
      turn=$(cat /run/turn 2>/dev/null || echo 1)
      echo $((turn + 1)) >/run/turn
      at a-nat nft flush chain ip nat post
      at a-nat nft add rule ip nat post oifname eth0 ip saddr 192.168.0.0/16 meta l4proto udp \
        masquerade to ":$((13000 + turn * 250))-$((13249 + turn * 250))"
      at a-nat nft add rule ip nat post oifname eth0 ip saddr 192.168.0.0/16 masquerade
      ip -n a-nat addr del 198.18.1.2/32 dev eth0
      own_public a-nat 2 eth0 0 ;;
    *) echo "there is no move $1" >&2; exit 2 ;;
  esac
}

two=
case $1 in
  --move) move "$2" "$3"; exit ;;
  --two) two=yes; shift ;;
esac

# Names of network namespaces live in /run/netns, and one file of hosts serves all.
mount -t tmpfs tmpfs /run
mkdir /run/netns
printf '127.0.0.1 localhost\n::1 localhost\n198.18.1.1 hub.example\n2001:db8:1::1 hub.example\n' >/run/hosts
mount --bind /run/hosts /etc/hosts

# Of which seconds a router keeps a mapping. RFC 4787 wants 120 at least.
MAPPED=120

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

# public NAME NUMBER [DEVICE METRIC]: a link to the core router, with an address of each family
public() {
  device=${3:-eth0}
  ip link add "p$2" type veth peer name "$device" netns "$1"
  ip link set "p$2" up
  ip -n "$1" link set "$device" up
  ip addr add 198.18.0.1/32 dev "p$2"
  ip addr add fe80::1/64 dev "p$2" nodad
  ip route add "198.18.1.$2/32" dev "p$2"
  ip -6 route add "2001:db8:1::$2/128" dev "p$2"
  own_public "$1" "$2" "$device" "${4:-0}"
}

# inside NAME ROUTER LAN [DEVICE METRIC]: a host, or another router, on a router's local network 192.168.LAN.0/24
inside() {
  device=${4:-eth0}
  ip -n "$1" link add "$device" type veth peer name lan netns "$2"
  ip -n "$2" link set lan up
  ip -n "$1" link set "$device" up
  ip -n "$2" addr add "192.168.$3.1/24" dev lan
  own_private "$1" "$3" "${6:-10}" "$device" "${5:-0}"
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
[ -z "$two" ] && exit
case $1 in
  public)
    ip -n a route flush dev eth0
    own public 2
    public a 4 eth1 200 ;;
  port | symmetric)
    ip -n a route del default
    ip -n a addr flush dev eth0
    own "$1" 2
    router a-two
    public a-two 4
    inside a a-two 4 eth1 200
    firewall a-two 'meta nfproto ipv4'
    if [ "$1" = port ]; then translate a-two port; else translate_anew a-two; fi ;;
  *) echo "no moves of the kind $1" >&2; exit 2 ;;
esac
ip -n a link set eth1 down
