/** What a container is to Docker. Pure. */
import type Docker from 'dockerode'
import { toolTmpBytesMax } from '../../base/limits.ts'
import type { ContainerSpec, Mount } from './engine.ts'
import { FILES_LABEL } from './file-carrier.ts'
import { volumeMounts } from './image-volumes.ts'

const NANO = 1e9
const NVIDIA = 'nvidia:'
const NUMBER = /^\d+$/

/**
 * The box of a step. Docker keeps no log of its own, since it would hold what a tool prints on the machine, secrets
 * included.
 *
 * @param mounts the specification's own as Docker is to make them.
 * @param network what Docker calls the network of the specification.
 */
export function containerOptions(
  spec: ContainerSpec,
  mounts: Docker.MountConfig,
  network: string,
  nameservers: readonly string[] = [],
): Docker.ContainerCreateOptions {
  const [uid = '', gid = ''] = spec.user.split(':')
  // A numeric user owns its /tmp even where the image's own is not open to all.
  const owner = NUMBER.test(uid) ? `,uid=${uid}${NUMBER.test(gid) ? `,gid=${gid}` : ''}` : ''
  return {
    name: spec.name,
    Image: spec.imageId,
    ...(spec.command === null ? {} : { Cmd: [...spec.command] }),
    Env: environmentLines(spec),
    // The image's own would else say of the container what it likes.
    Labels: { [FILES_LABEL]: '', ...spec.labels },
    User: spec.user,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      Mounts: [...mounts, ...volumeMounts(spec)],
      AutoRemove: false,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      NetworkMode: network,
      ...(nameservers.length === 0 ? {} : { Dns: [...nameservers] }),
      // The one guard of the IPv6 side of a bridge, which has no rules of its own.
      ...(spec.network === 'bridge' ? { Sysctls: { 'net.ipv6.conf.all.disable_ipv6': '1' } } : {}),
      ReadonlyRootfs: spec.rootReadOnly,
      ...devicesOf(spec.devices),
      Tmpfs: { '/tmp': `rw,nosuid,nodev,mode=1777,size=${toolTmpBytesMax}${owner}` },
      Memory: spec.memoryBytes,
      MemorySwap: spec.memoryBytes,
      NanoCpus: nanoCpus(spec),
      PidsLimit: spec.pids,
      GroupAdd: [...spec.groups],
      LogConfig: { Type: 'none', Config: {} },
    },
  }
}

export function bindsOf(mounts: readonly Mount[]): Docker.MountConfig {
  return mounts.map(({ source, target, readOnly }) => ({
    Type: 'bind',
    Source: source,
    Target: target,
    ReadOnly: readOnly,
    BindOptions: { Propagation: 'rprivate' },
  }))
}

export function environmentLines(spec: ContainerSpec): string[] {
  return Object.entries(spec.environment).map(([variable, value]) => `${variable}=${value}`)
}

export function nanoCpus(spec: ContainerSpec): number {
  return Math.round(spec.cpus * NANO)
}

function devicesOf(devices: readonly string[]): Pick<Docker.HostConfig, 'Devices' | 'DeviceRequests'> {
  const cards = devices.filter((device) => device.startsWith(NVIDIA))
  const paths = devices.filter((device) => !device.startsWith(NVIDIA))
  const ids = cards.map((card) => card.slice(NVIDIA.length))
  return {
    Devices: paths.map((path) => ({ PathOnHost: path, PathInContainer: path, CgroupPermissions: 'rwm' })),
    ...(cards.length === 0
      ? {}
      : { DeviceRequests: [{ Driver: 'nvidia', DeviceIDs: ids, Capabilities: [['gpu']] }] }),
  }
}
