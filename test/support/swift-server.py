"""OpenStack Swift with its S3 API, whole and small: one process, one disk, one copy.

    python3 swift-server.py DIRECTORY

Prints its port once it serves. Objects go below DIRECTORY/d1, which has to be there. The user test:tester has the key testing.
"""
import sys

import eventlet

eventlet.monkey_patch()

from eventlet import listen, spawn, wsgi  # noqa: E402
from swift.common import utils  # noqa: E402

directory = sys.argv[1]
utils.SWIFT_CONF_FILE = directory + '/swift.conf'
with open(utils.SWIFT_CONF_FILE, 'w') as file:
    file.write('[swift-hash]\nswift_hash_path_suffix = a\n[storage-policy:0]\nname = one\ndefault = yes\n')

from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.wsgi import SwiftHttpProtocol, loadapp  # noqa: E402

PROXY = '''[DEFAULT]
swift_dir = {directory}
[pipeline:main]
pipeline = catch_errors gatekeeper s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:slo]
use = egg:swift#slo
[filter:s3api]
use = egg:swift#s3api
location = eu-central-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
'''


class Cache:
    """What memcached does for a larger Swift."""

    def __init__(self):
        self.values = {}

    def get(self, key, *_, **__):
        return self.values.get(key)

    def set(self, key, value, *_, **__):
        self.values[key] = value

    def delete(self, key, *_, **__):
        self.values.pop(key, None)

    def incr(self, key, delta=1, *_, **__):
        self.values[key] = self.values.get(key, 0) + delta
        return self.values[key]


def serve(sock, app):
    with open(directory + '/log', 'a') as log:
        wsgi.server(sock, app, log, protocol=SwiftHttpProtocol)


def main():
    kinds = ('account', 'container', 'object')
    sockets = {kind: listen(('127.0.0.1', 0)) for kind in kinds}
    for kind, sock in sockets.items():
        builder = RingBuilder(4, 1, 1)
        place = {'id': 0, 'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'device': 'd1', 'weight': 1}
        builder.add_dev({**place, 'port': sock.getsockname()[1]})
        builder.rebalance()
        builder.get_ring().save('%s/%s.ring.gz' % (directory, kind))
    # Only now: they read the rings.
    from swift.account.server import AccountController
    from swift.container.server import ContainerController
    from swift.obj.server import ObjectController

    apps = {'account': AccountController, 'container': ContainerController, 'object': ObjectController}
    for kind, sock in sockets.items():
        conf = {'swift_dir': directory, 'devices': directory, 'mount_check': 'false', 'bind_ip': '127.0.0.1'}
        spawn(serve, sock, apps[kind]({**conf, 'bind_port': sock.getsockname()[1]}))
    with open(directory + '/proxy.conf', 'w') as file:
        file.write(PROXY.format(directory=directory))
    proxy = loadapp(directory + '/proxy.conf')
    cache = Cache()

    def cached(environment, start):
        environment['swift.cache'] = cache
        return proxy(environment, start)

    front = listen(('127.0.0.1', 0))
    print(front.getsockname()[1], flush=True)
    serve(front, cached)


main()
