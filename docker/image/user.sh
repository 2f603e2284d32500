#!/bin/sh
# The identity that the node has in the image. Its numbers are fixed, so that directories of the host can be made its own.
set -eu

user_id=10001
grep -q '^mao:' /etc/passwd || printf 'mao:x:%s:%s:MAO node:/var/lib/mao:/bin/sh\n' "$user_id" "$user_id" >>/etc/passwd
grep -q '^mao:' /etc/group || printf 'mao:x:%s:\n' "$user_id" >>/etc/group
mkdir -p /var/lib/mao
chown "$user_id:$user_id" /var/lib/mao
chmod 0700 /var/lib/mao
