/**
 * Brings the files of a step to an engine that does not see this node's, and back. For each container there is a second
 * one that is never started: it owns the volumes at the mounts' targets, takes the files before the start, and goes with
 * its volumes when the step's container goes. It carries the same labels, so that whoever reaps one finds both.
 */
import { lstat } from 'node:fs/promises'
import { posix } from 'node:path'
import { Readable } from 'node:stream'
import type Docker from 'dockerode'
import { messageOf, NodeError } from '../../base/errors.ts'
import {
  containerChangeTimeoutMs,
  engineCallTimeoutMs,
  fileCarriageTimeoutMs,
  volumeLookIntervalMs,
} from '../../base/limits.ts'
import { delay } from '../../base/wait.ts'
import { allowance, packAll, unpackOver } from './archive.ts'
import type { DockerConnection } from './docker-connection.ts'
import { isStatus } from './docker-errors.ts'
import type { ContainerSpec, Mount } from './engine.ts'

/** Tells the container that holds the files from the one that it holds them for, whose name it carries. */
export const FILES_LABEL = 'mao.files-of'

/** A walk through all volumes may take a fifth of the time, and no more. */
const REST_PER_LOOK = 4

interface Volume {
  readonly target: string
  readonly isWritable: boolean
  /** Files of its own image stay beside those that are brought. */
  readonly keepsImage: boolean
  /** The target of the volume that this one is, where a directory is mounted a second time. */
  readonly same?: string
}

export interface CarriedFiles {
  /** What the step's container mounts. */
  readonly mounts: Docker.MountConfig
  readonly volumes: readonly string[]
}

export class FileCarrier {
  readonly #connection: DockerConnection

  constructor(connection: DockerConnection) {
    this.#connection = connection
  }

  /**
   * Makes the volumes of a container to be, and fills them.
   *
   * @throws NodeError FORBIDDEN for a mount that is no file or directory, such as a socket; INVALID_INPUT.
   */
  async bring(spec: ContainerSpec, signal: AbortSignal): Promise<CarriedFiles> {
    if (spec.mounts.length === 0) return { mounts: [], volumes: [] }
    const volumes = await volumesOf(spec.mounts)
    const holder = await this.#makeHolder(spec, volumes)
    const again = new Set(volumes.flatMap(({ target, same }) => (same === undefined ? [] : [target])))
    const carried = spec.mounts.filter(({ target }) => !again.has(posix.normalize(target)))
    const files = packAll(carried.map(({ source, target }) => ({ source, path: target })))
    try {
      const abortSignal = AbortSignal.any([signal, AbortSignal.timeout(fileCarriageTimeoutMs)])
      await this.#connection.call('taking the files of a step', fileCarriageTimeoutMs, () =>
        holder.putArchive(files, { path: '/', abortSignal }),
      )
      const { Mounts: made } = await this.#connection.call('looking for volumes', engineCallTimeoutMs, () =>
        holder.inspect(),
      )
      const names = new Map(made.map(({ Destination, Name }) => [Destination, Name ?? '']))
      const mounts = volumes.map(({ target, isWritable, same = target }) => ({
        Type: 'volume' as const,
        Source: names.get(same) ?? '',
        Target: target,
        ReadOnly: !isWritable,
      }))
      return { mounts, volumes: [...names.values()] }
    } catch (error) {
      await this.remove(spec.name)
      signal.throwIfAborted()
      throw error
    } finally {
      files.destroy()
    }
  }

  /**
   * Replaces the sources of the writable mounts by what the container has made of them.
   *
   * @throws NodeError TOO_LARGE, PATH_UNSAFE; the signal's reason.
   */
  async fetch(container: string, spec: ContainerSpec, signal: AbortSignal): Promise<void> {
    const until = AbortSignal.any([signal, AbortSignal.timeout(fileCarriageTimeoutMs)])
    const allowed = allowance(spec.outputBytesMax ?? Number.MAX_SAFE_INTEGER)
    // The outer ones first, which empty their directories.
    // What is mounted in two places is one, and comes back once.
    const written = spec.mounts
      .filter(({ readOnly }) => !readOnly)
      .filter(({ source }, at, all) => at === all.findIndex((other) => other.source === source))
    for (const { source, target } of written.sort((a, b) => a.source.length - b.source.length)) {
      const archive = await this.#connection.call(
        'giving back what a step wrote',
        engineCallTimeoutMs,
        (docker) => docker.getContainer(container).getArchive({ path: target, abortSignal: until }),
      )
      await unpackOver(Readable.from(archive), source, allowed, until)
    }
  }

  /** Rejects with NodeError TOO_LARGE as soon as the volumes hold more than is allowed; resolves when it is stopped. */
  async watch(volumes: readonly string[], bytesMax: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const beganMs = performance.now()
      const bytes = await this.#bytesIn(volumes)
      if (bytes > bytesMax) {
        const message = `the output holds more than ${bytesMax} bytes, which is the limit of this node (setting execution.outputBytes)`
        throw new NodeError('TOO_LARGE', message, { bytesMax })
      }
      const restMs = Math.max(volumeLookIntervalMs, REST_PER_LOOK * (performance.now() - beganMs))
      await delay(restMs, signal).catch(() => undefined)
    }
  }

  /** Removes what was made for the container of this name. */
  async remove(name: string): Promise<void> {
    const holder = this.#connection.docker.getContainer(holderName(name))
    try {
      await this.#connection.call('removing volumes', containerChangeTimeoutMs, () =>
        holder.remove({ force: true, v: true }),
      )
    } catch (error) {
      if (!isStatus(error, 404) && !isStatus(error, 409)) throw error
    }
  }

  async #makeHolder(spec: ContainerSpec, volumes: readonly Volume[]): Promise<Docker.Container> {
    const made = volumes.filter(({ same }) => same === undefined)
    const options = {
      name: holderName(spec.name),
      Image: spec.imageId,
      Cmd: ['never started'],
      Labels: { ...spec.labels, [FILES_LABEL]: spec.name },
      HostConfig: {
        NetworkMode: 'none',
        Mounts: made.map(({ target, keepsImage }) => ({
          Type: 'volume' as const,
          Source: '',
          Target: target,
          VolumeOptions: { NoCopy: !keepsImage, Labels: { ...spec.labels }, DriverConfig: LOCAL_DRIVER },
        })),
      },
    }
    return this.#connection.call('making volumes', containerChangeTimeoutMs, (docker) =>
      docker.createContainer(options),
    )
  }

  /** Volumes of which the engine cannot tell the size count as nothing: they are measured when they are fetched. */
  async #bytesIn(volumes: readonly string[]): Promise<number> {
    const told: { Volumes?: { Name: string; UsageData?: { Size: number } | null }[] | null } =
      await this.#connection.call('measuring volumes', fileCarriageTimeoutMs, (docker) => docker.df())
    const ours = (told.Volumes ?? []).filter(({ Name }) => volumes.includes(Name))
    return ours.reduce((sum, { UsageData }) => sum + Math.max(0, UsageData?.Size ?? 0), 0)
  }
}

const LOCAL_DRIVER = { Name: 'local', Options: {} }

/** What the container that holds the files of this one is called. */
export const holderName = (name: string) => `${name}-files`

/** A volume for each directory, and one for the directory around each file, since volumes are directories. */
async function volumesOf(mounts: readonly Mount[]): Promise<Volume[]> {
  const volumes = new Map<string, Volume>()
  /** Where each directory is mounted first: what is written in one of its places is seen in all. */
  const directories = new Map<string, string>()
  const single: Mount[] = []
  for (const mount of mounts) {
    const found = await lstat(mount.source).catch((cause: unknown) => {
      const message = `What is to be mounted at ${mount.target} is not there: ${messageOf(cause)}`
      throw new NodeError('INVALID_INPUT', message, { target: mount.target }, { cause })
    })
    const target = posix.normalize(mount.target)
    if (found.isFile()) single.push({ ...mount, target })
    else if (found.isDirectory()) {
      const first = directories.get(mount.source)
      const same = first === undefined ? {} : { same: first }
      volumes.set(target, { target, isWritable: !mount.readOnly, keepsImage: false, ...same })
      directories.set(mount.source, first ?? target)
    } else {
      const message = `${mount.target} is a socket or a device of this machine, which an engine on another machine cannot be given; run the step on the engine local`
      throw new NodeError('FORBIDDEN', message, { target })
    }
  }
  for (const { target, readOnly } of single) {
    const around = posix.dirname(target)
    const isWithin = [...volumes.keys()].find((other) => around === other || around.startsWith(`${other}/`))
    if (isWithin !== undefined && (readOnly || volumes.get(isWithin)?.isWritable === true)) continue
    if (around === '/') {
      const message = `A file cannot be brought to ${target}, which lies in the root of the container; use a directory below`
      throw new NodeError('INVALID_INPUT', message, { target })
    }
    const isWritable = !readOnly || volumes.get(around)?.isWritable === true
    const keepsImage = volumes.get(around)?.keepsImage ?? true
    volumes.set(around, { target: around, isWritable, keepsImage })
  }
  return [...volumes.values()]
}
