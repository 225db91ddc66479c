#!/bin/sh
# Installs the Debian packages that the lab, the demo and the benchmarks need; with the word "applications" also those
# that only the lab's tests with real applications need, with "compilers" those that build policies, and nothing else. Does nothing when all are there.
# Without root it prints the one line that would do it, and fails.
set -eu

packages="iproute2 iptables ipset ethtool tcpdump nginx-light curl iperf3 mptcpize procps util-linux gcc libc6-dev"
if [ "${1:-}" = applications ]; then
  packages="$packages openssl openssh-client openssh-server rsync postgresql redis-server redis-tools"
fi

if [ "${1:-}" = compilers ]; then packages="clang lld"; fi

missing=""
for package in $packages; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "missing packages; run as root: apt-get install -y --no-install-recommends$missing" >&2
  exit 1
fi

# The lab runs servers in namespaces of its own; their packages must not start any on this machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
apt-get install -y -qq --no-install-recommends $missing >/dev/null || {
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# Nor shall the next boot start them, if this machine boots with systemd at all.
command -v systemctl >/dev/null 2>&1 || exit 0
for pair in nginx-light:nginx openssh-server:ssh rsync:rsync postgresql:postgresql redis-server:redis-server; do
  case "$missing " in
    *" ${pair%:*} "*) systemctl --root=/ --quiet disable "${pair#*:}" 2>/dev/null || true ;;
  esac
done
