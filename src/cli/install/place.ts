/** Where this program, the units and the Docker socket are on this machine. */
import { access, readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { whoAmI } from './facts.ts'
import { ownerOf } from './owner.ts'
import type { Place } from './plan.ts'

const SOCKET_DEFAULT = '/var/run/docker.sock'
const DOCKER_GROUP = 'docker'

/** @param isSystem whether it is to be a service of the machine, which runs as whoever called root. */
export async function placeOf(
  environment: Readonly<Record<string, string | undefined>>,
  isSystem: boolean,
): Promise<Place> {
  const home = environment.HOME ?? homedir()
  const socketPath = environment.MAO_DOCKER_SOCKET_PATH ?? SOCKET_DEFAULT
  const root = join(import.meta.dirname, '../../..')
  const me = whoAmI()
  const socket = await stat(socketPath).catch(() => undefined)
  const groups = await readFile('/etc/group', 'utf8').catch(() => '')
  const owner = isSystem ? await ownerOf(environment) : undefined
  const user = owner?.user ?? me.user
  return {
    usualData: join(owner?.home ?? home, '.mao'),
    owner,
    unitDirectory: join(environment.XDG_CONFIG_HOME ?? join(home, '.config'), 'systemd/user'),
    program: [process.execPath, await mainProgram()],
    service: {
      user,
      isRoot: user === 'root',
      groups: new RegExp(`^${DOCKER_GROUP}:`, 'm').test(groups) && user !== 'root' ? [DOCKER_GROUP] : [],
    },
    ids: socket === undefined ? undefined : { user: me.uid, group: me.gid, docker: socket.gid },
    socketPath,
    source: (await isThere(join(root, 'docker/Dockerfile'))) ? root : undefined,
  }
}

/** This very program, as it is built or as its sources run. */
async function mainProgram(): Promise<string> {
  const built = join(dirname(import.meta.dirname), 'main.js')
  return (await isThere(built)) ? built : join(dirname(import.meta.dirname), 'main.ts')
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
