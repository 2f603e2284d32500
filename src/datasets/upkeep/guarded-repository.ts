/**
 * A repository that keeps to the room there is. Whoever brings bytes into a dataset (a fetch, a push, an import, a run)
 * does it through a repository, so this is the one place where quotas and the disk are looked at.
 */
import { orDiskFull } from '../../base/disk-space.ts'
import type { PackRepository, Quarantine } from '../git/repository.ts'
import type { Accounts, Claim } from './accounts.ts'
import { contentOf, newBytes } from './new-bytes.ts'

export interface GuardParts {
  readonly accounts: Accounts
  /** Hears that something has come. */
  readonly ingested: (dataset: string) => void
}

/** The same repository for everybody else: reading is as it was, a full disk is DISK_FULL however it shows. */
export function guarded(
  dataset: string,
  repository: PackRepository,
  { accounts, ingested }: GuardParts,
): PackRepository {
  accounts.open(dataset, () => repository.size())
  const quarantine = async (...args: Parameters<PackRepository['quarantine']>): Promise<Quarantine> => {
    const claim = await accounts.claim(dataset)
    return guardedQuarantine(await repository.quarantine(...args), claim, () => ingested(dataset))
  }
  const writeTreeFromDirectory = async (directory: string): Promise<string> => {
    const claim = await accounts.claim(dataset)
    try {
      await claim.take(await bytesToCome(directory, repository, (bytes) => fits(accounts, dataset, bytes)))
      return await repository.writeTreeFromDirectory(directory)
    } finally {
      await claim.settle()
      ingested(dataset)
    }
  }
  const own: Partial<PackRepository> = {
    quarantine: telling(quarantine, repository.path),
    writeTreeFromDirectory: telling(writeTreeFromDirectory, repository.path),
  }
  return over(repository, own, repository.path)
}

async function fits(accounts: Accounts, dataset: string, bytes: number): Promise<boolean> {
  return bytes < (await accounts.room(dataset)).bytes
}

/**
 * What a commit of a directory adds at most. Most of it is there already as a rule, and what is not gets smaller; to
 * know that takes reading all of it, which is done only where it matters.
 */
async function bytesToCome(
  directory: string,
  repository: PackRepository,
  fits: (bytes: number) => Promise<boolean>,
): Promise<number> {
  const content = await contentOf(directory)
  if (await fits(content.bytes)) return content.bytes
  const known = new Set<string>()
  for (const tip of new Set((await repository.branches()).values()))
    for (const { oid } of await repository.listFiles(tip)) known.add(oid)
  return newBytes(directory, content, known)
}

function guardedQuarantine(quarantine: Quarantine, claim: Claim, ingested: () => void): Quarantine {
  let counted = 0
  const take = async (bytes: number) => {
    counted += bytes
    await claim.take(bytes)
  }
  const own: Partial<Quarantine> = {
    receive: (pack, ...rest) => quarantine.receive(counting(pack, take), ...rest),
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
        await claim.settle()
      }
    },
  }
  return over(quarantine, own, 'the datasets')
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
    if (!(result instanceof Promise)) return result
    return result.catch((error: unknown) => {
      throw orDiskFull(error, place)
    })
  }
  return told as W
}
