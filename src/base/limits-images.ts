/** Bounds of images: what is built, what labels say, what is remembered of them; see limits.ts. */
import { KIB, MIB, MINUTE_MS } from './units.ts'

/** Inputs, and outputs, that the labels of one image may name: a record of a tool holds them all. */
export const servicePortsMax = 64
/** Images that one reference meant before, remembered for runs that are done again. */
export const imagePinsPastMax = 20
/** Volumes that an image may declare, each a mount of every container that runs it. */
export const imageVolumesMax = 32
/** Rules of the list of images that may run, each looked at for each image. */
export const imageRulesMax = 200
/** Images whose origin a node remembers: beyond, those that are longest gone from the engine are forgotten. */
export const broughtImagesMax = 10_000
/** How often images are looked at that nobody needs any more. */
export const imageSweepIntervalMs = 60 * MINUTE_MS
/** Removing one image, and listing all: layers are deleted from a busy disk meanwhile. */
export const imageRemovalTimeoutMs = 5 * MINUTE_MS
/** Registries that a node has credentials for. */
export const registryLoginsMax = 100
/** A user's name and a password or token of a registry. */
export const registryCredentialCharactersMax = 8 * KIB
/** Builds that wait; they go one after another. */
export const buildsWaitingMax = 20
/** Builds that are remembered with their logs; the oldest ended ones make room. */
export const buildsKeptMax = 200
/** What one build may print; the log says when there was more. */
export const buildLogBytesMax = 8 * MIB
/** What is read of a build's log at once. */
export const buildLogReadBytes = 64 * KIB
/** A Dockerfile is text that people wrote. */
export const dockerfileBytesMax = 1 * MIB
/** One line of the engine's progress: a build prints at most some kilobytes in one. */
export const engineLineCharactersMax = 4 * MIB
