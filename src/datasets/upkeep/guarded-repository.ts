/**
 * A repository that keeps to the room there is. Whoever brings bytes into a dataset (a fetch, a push, an import, a run)
 * does it through a repository, so this is the one place where quotas and the disk are looked at.
 */
import { diskFull, isOutOfRoom, orDiskFull } from '../../base/disk-space.ts'
import { isNodeError, NodeError } from '../../base/errors.ts'
import { fileBytesMax } from '../../base/limits.ts'
import type { PackRepository, Quarantine } from '../git/repository.ts'
import { clearObjectRests, clearPackRests } from '../git/rests.ts'
import type { Accounts, Claim } from './accounts.ts'
import { contentOf, newBytes } from './new-bytes.ts'

export interface GuardParts {
  readonly accounts: Accounts
  /** Hears that something has come. */
  readonly ingested: (dataset: string) => void
}

/**
 * [MUST] The same repository for everybody else: what comes is counted as it comes (dataset-upkeep.md Q1), reading is
 * as it was, a full disk is DISK_FULL however it shows (Q4).
 */
export function guarded(
  dataset: string,
  repository: PackRepository,
  { accounts, ingested }: GuardParts,
): PackRepository {
  const { path } = repository
  accounts.open(dataset, () => repository.size())
  const writers = new Writers(path)
  const fits = async (bytes: number) => bytes < (await accounts.room(dataset)).bytes
  const own: Partial<PackRepository> = {
    quarantine: async (...args) => {
      const claim = await accounts.claim(dataset)
      return guardedQuarantine(await repository.quarantine(...args), claim, path, () => ingested(dataset))
    },
    writeTreeFromDirectory: async (directory) => {
      const claim = await accounts.claim(dataset)
      try {
        await claim.take(await bytesToCome(directory, repository, fits))
        return await writers.run(() => repository.writeTreeFromDirectory(directory))
      } finally {
        claim.settle()
        ingested(dataset)
      }
    },
    writeTree: (files) => writers.run(() => repository.writeTree(files)),
    writeCommit: (commit) => writers.run(() => repository.writeCommit(commit)),
    collectGarbage: (options) => writers.run(() => repository.collectGarbage(options), clearPackRests),
  }
  return over(repository, own, path)
}

type Clear = (path: string) => Promise<void>

/**
 * Clears up after a write that failed, once no other is under way: git leaves what it had begun, which looks like what
 * another one is at.
 */
class Writers {
  readonly #path: string
  #atWork = 0
  readonly #due = new Set<Clear>()
  #clearing: Promise<void> | undefined

  constructor(path: string) {
    this.#path = path
  }

  async run<T>(write: () => Promise<T>, clear: Clear = clearObjectRests): Promise<T> {
    while (this.#clearing !== undefined) await this.#clearing
    this.#atWork += 1
    try {
      return await write()
    } catch (error) {
      this.#due.add(clear)
      throw error
    } finally {
      this.#atWork -= 1
      if (this.#due.size > 0 && this.#atWork === 0) await this.#clear()
    }
  }

  async #clear(): Promise<void> {
    const due = [...this.#due]
    this.#due.clear()
    const clearing = Promise.all(due.map((clear) => clear(this.#path)))
    // Who waits goes on whatever came of it; who has failed hears of it.
    const end = () => {
      this.#clearing = undefined
    }
    this.#clearing = clearing.then(end, end)
    await clearing
  }
}

/**
 * What a commit of a directory adds at most. Most of it is there already as a rule, and what is not gets smaller; to
 * know that takes reading all of it, which is done only where it matters (dataset-upkeep.md Q2).
 */
async function bytesToCome(
  directory: string,
  repository: PackRepository,
  fits: (bytes: number) => Promise<boolean>,
): Promise<number> {
  const content = await contentOf(directory)
  const large = content.files.find((file) => file.bytes > fileBytesMax)
  if (large !== undefined) {
    const message = `The file ${JSON.stringify(large.path)} has ${large.bytes} bytes; datasets hold files of at most ${fileBytesMax}, since members take no larger ones from each other`
    throw new NodeError('TOO_LARGE', message, { path: large.path })
  }
  if (await fits(content.bytes)) return content.bytes
  const known = new Set<string>()
  for (const tip of new Set((await repository.branches()).values()))
    for (const { oid } of await repository.listFiles(tip)) known.add(oid)
  return newBytes(directory, content, known)
}

function guardedQuarantine(
  quarantine: Quarantine,
  claim: Claim,
  place: string,
  ingested: () => void,
): Quarantine {
  let counted = 0
  const take = async (bytes: number) => {
    counted += bytes
    await claim.take(bytes)
  }
  const own: Partial<Quarantine> = {
    receive: (pack, ...rest) => quarantine.receive(counting(pack, take), ...rest),
    fetchRemote: (call, branch, signal) => quarantine.fetchRemote(call, branch, signal, take),
    admit: async (...args) => {
      // What came on other ways, and the indexes that were made of it.
      const bytes = (await quarantine.size()) - counted
      if (bytes > 0) await take(bytes)
      await quarantine.admit(...args)
      ingested()
    },
    discard: async () => {
      try {
        await quarantine.discard()
      } finally {
        claim.settle()
      }
    },
  }
  return over(quarantine, own, place)
}

async function* counting(
  pack: AsyncIterable<Uint8Array>,
  take: (bytes: number) => Promise<void>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of pack) {
    await take(chunk.length)
    yield chunk
  }
}

type Work = (...args: never[]) => unknown

/** `own` where it has a part of that name, else the object's, whose private parts stay its own. */
function over<T extends object>(object: T, own: Partial<T>, place: string): T {
  const bound = new Map<PropertyKey, unknown>()
  return new Proxy(object, {
    get: (_, name) => {
      if (!bound.has(name)) {
        const found = (Object.hasOwn(own, name) ? own : object)[name as keyof T]
        const target = Object.hasOwn(own, name) ? own : object
        bound.set(name, typeof found === 'function' ? telling(found.bind(target) as Work, place) : found)
      }
      return bound.get(name)
    },
  })
}

/** Whatever of it waits and fails on a full disk says so. */
function telling<W extends Work>(work: W, place: string): W {
  const told = (...args: never[]) => {
    const result = work(...args)
    return result instanceof Promise ? result.catch((error: unknown) => tell(error, place)) : result
  }
  return told as W
}

async function tell(error: unknown, place: string): Promise<never> {
  // Of some of its files git says that they could not be written, and not why.
  const silent = isNodeError(error, 'GIT_FAILED') && (await isOutOfRoom(place).catch(() => false))
  throw silent ? diskFull(place, error) : orDiskFull(error, place)
}
