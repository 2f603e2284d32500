/**
 * What becomes of the volumes that an image declares (VOLUME). Docker would make one for each, a directory of the
 * machine's disk in which nothing bounds what is written; here each is an empty directory in memory, so that it counts
 * as the step's memory and is gone with it. Pure.
 */
import { posix } from 'node:path'
import { NodeError } from '../../base/errors.ts'
import { imageVolumesMax, toolTmpBytesMax } from '../../base/limits.ts'
import type { ContainerSpec } from './engine.ts'

export interface VolumeMount {
  Type: 'tmpfs'
  Source: string
  Target: string
  TmpfsOptions: { SizeBytes: number; Mode: number }
}

const ALL_WRITE = 0o1777
/** A directory in memory of its own anyway. */
const TMP = '/tmp'

/** @throws NodeError FORBIDDEN where the image declares more than there may be. */
export function volumeMounts(spec: Pick<ContainerSpec, 'volumes' | 'mounts' | 'memoryBytes'>): VolumeMount[] {
  const { volumes = [], mounts, memoryBytes } = spec
  const taken = new Set([TMP, ...mounts.map(({ target }) => placeOf(target))])
  const places = [...new Set(volumes.map(placeOf))].filter((place) => !taken.has(place))
  if (places.length > imageVolumesMax) {
    const message = `The image declares ${places.length} volumes, and a step has at most ${imageVolumesMax}: declare fewer with VOLUME`
    throw new NodeError('FORBIDDEN', message, { volumes: places.length })
  }
  // A full one is told to the tool as a full disk, which says more than its end by the memory limit.
  const SizeBytes = Math.min(toolTmpBytesMax, Math.floor(memoryBytes / 2))
  return places.map((Target) => ({
    Type: 'tmpfs',
    Source: '',
    Target,
    TmpfsOptions: { SizeBytes, Mode: ALL_WRITE },
  }))
}

function placeOf(path: string): string {
  return posix.resolve('/', path)
}
