import { readFile } from 'node:fs/promises'
import Docker from 'dockerode'
import { messageOf, NodeError } from '../../base/errors.ts'
import { enginePingTimeoutMs } from '../../base/limits.ts'
import { withDeadline } from '../../base/wait.ts'
import { engineError } from './docker-errors.ts'
import type { EngineSettings } from './settings.ts'

/** docker-modem reads it, and its types do not know it: a machine that is off the net is told of soon. */
const BOUND = { connectionTimeout: enginePingTimeoutMs }

/** One way to one engine: every call has a deadline, and whatever it throws is one of ours. */
export class DockerConnection {
  readonly docker: Docker
  /** Where the engine is, for people. */
  readonly place: string

  constructor(docker: Docker, place: string) {
    this.docker = docker
    this.place = place
  }

  static local(socketPath: string): DockerConnection {
    return new DockerConnection(new Docker({ socketPath }), socketPath)
  }

  /** @throws NodeError INVALID_CONFIG when a certificate cannot be read. */
  static async open(settings: EngineSettings, socketPath: string): Promise<DockerConnection> {
    const { host, port, caFile, certFile, keyFile } = settings
    if (host === undefined) return DockerConnection.local(settings.socketPath ?? socketPath)
    const place = `${host}:${port}`
    if (caFile === undefined || certFile === undefined || keyFile === undefined) {
      return new DockerConnection(new Docker({ protocol: 'http', host, port, ...BOUND }), place)
    }
    const [ca, cert, key] = await Promise.all([pem(caFile), pem(certFile), pem(keyFile)])
    const docker = new Docker({ protocol: 'https', host, port, ca, cert, key, ...BOUND })
    return new DockerConnection(docker, place)
  }

  /** @throws NodeError ENGINE_UNAVAILABLE, or INVALID_INPUT with the status when the engine refuses. */
  async call<T>(what: string, timeoutMs: number, action: (docker: Docker) => Promise<T>): Promise<T> {
    try {
      return await withDeadline(action(this.docker), timeoutMs, `The container engine, ${what},`)
    } catch (cause) {
      throw engineError(cause, this.place)
    }
  }
}

async function pem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const message = `The certificate ${path} of a container engine cannot be read: ${messageOf(cause)}`
    throw new NodeError('INVALID_CONFIG', message, { path }, { cause })
  }
}
