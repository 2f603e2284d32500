/**
 * What a client of git says before the pack of a push (gitprotocol-pack(5), "Reference Update Request"), and which of it
 * may be. Pure but for the reading.
 */
import { NodeError } from '../../base/errors.ts'
import { branchesPerHeadMax, pushCommandsMax, pushRefBytesMax } from '../../base/limits.ts'
import { isName } from '../../base/names.ts'
import { branchOf, ownerOfBranch } from '../branches.ts'
import { CERTIFICATES_BRANCH, isBranch, NO_COMMIT, TRUTH_BRANCH } from '../git/git-directory.ts'
import { isOid } from '../git/git-objects.ts'
import { lineOf, type PacketReader } from '../git/pkt-line.ts'

/** One ref that is to move. */
export interface PushCommand {
  /** In full, such as `refs/heads/main-alice`. */
  readonly ref: string
  /** Where the client believes it to be; undefined when it should not exist yet. */
  readonly from: string | undefined
  /** Where it is to be; undefined when it is to be deleted. */
  readonly to: string | undefined
}

export interface PushRequest {
  /** None in the request with which git tries the way before a large push. */
  readonly commands: readonly PushCommand[]
  readonly capabilities: ReadonlySet<string>
}

const BRANCHES = 'refs/heads/'
/** What git takes for a ref at all (git-check-ref-format(1)), as far as it keeps a line and a terminal whole. */
const REF = /^refs\/[^\s~^:?*[\\\p{Cc}]+$/u

/** @throws NodeError INVALID_INPUT for what is no push, TOO_LARGE above `pushCommandsMax` refs. */
export async function readPushRequest(packets: PacketReader): Promise<PushRequest> {
  const commands = new Map<string, PushCommand>()
  let capabilities: ReadonlySet<string> | undefined
  // A client with a shallow clone tells first where its history ends: what it sends has to fit ours all the same.
  let shallow = 0
  for (;;) {
    const read = await packets.next()
    if (read === 'flush') break
    if (read === undefined || typeof read === 'string') throw noPush('it ends too early')
    const line = lineOf(read)
    if (/^shallow [0-9a-f]{40}$/.test(line) && ++shallow <= pushCommandsMax) continue
    const [words = '', offered] = line.split('\0') as [string?, string?]
    capabilities ??= new Set((offered ?? '').split(' ').filter((word) => word !== ''))
    const command = commandOf(words)
    if (commands.has(command.ref)) throw noPush(`it moves ${command.ref} twice`)
    commands.set(command.ref, command)
    if (commands.size > pushCommandsMax) {
      throw new NodeError(
        'TOO_LARGE',
        `A push moves at most ${pushCommandsMax} refs; name the branches to push`,
      )
    }
  }
  const format = [...(capabilities ?? [])].find((word) => word.startsWith('object-format='))
  if (format !== undefined && format !== 'object-format=sha1') {
    throw new NodeError(
      'INVALID_INPUT',
      `Datasets are kept with SHA-1 ids; a repository with ${format} does not fit`,
    )
  }
  return { commands: [...commands.values()], capabilities: capabilities ?? new Set() }
}

function commandOf(words: string): PushCommand {
  const [from = '', to = '', ...rest] = words.split(' ')
  const ref = rest.join(' ')
  if (!isOid(from) || !isOid(to)) throw noPush('it holds a line that is no command')
  if (!REF.test(ref) || Buffer.byteLength(ref) > pushRefBytesMax)
    throw noPush('it names something that is no ref')
  const idOf = (oid: string) => (oid === NO_COMMIT ? undefined : oid)
  return { ref, from: idOf(from), to: idOf(to) }
}

function noPush(why: string): NodeError {
  return new NodeError('INVALID_INPUT', `This is no push as git makes it: ${why}`)
}

export interface PushPlace {
  /** Name of this node. */
  readonly self: string
  /** Names of all members. */
  readonly members: readonly string[]
  /** Where the branches are. */
  readonly held: ReadonlyMap<string, string>
}

/** The branch that a command is about, or undefined for a ref of another kind. */
export function branchIn({ ref }: PushCommand): string | undefined {
  return ref.startsWith(BRANCHES) ? ref.slice(BRANCHES.length) : undefined
}

/** Which refs of a push cannot move, and why (stock-git.md P10 to P12). */
export function refusalsOf(commands: readonly PushCommand[], place: PushPlace): Map<string, string> {
  const { self, members, held } = place
  let own = [...held.keys()].filter((branch) => ownerOfBranch(branch, members) === self).length
  const refusals = new Map<string, string>()
  for (const command of commands) {
    let refusal = refusalOf(command, place)
    if (refusal === undefined && command.from === undefined) {
      own += 1
      // All of them stand in one record (dataset-fetch.md, "Heads").
      if (own > branchesPerHeadMax)
        refusal = `a member has at most ${branchesPerHeadMax} branches of a dataset`
    }
    if (refusal !== undefined) refusals.set(command.ref, refusal)
  }
  return refusals
}

/** Why a command cannot be, in words for the one who pushed, or undefined when it may be tried. */
export function refusalOf(command: PushCommand, { self, members, held }: PushPlace): string | undefined {
  const branch = branchIn(command)
  if (branch === undefined) {
    return `a dataset holds branches alone, and of those you push to <step>-${self}, for example: git push origin HEAD:${exampleFor('', self)}`
  }
  const wayOut = `push to <step>-${self}, for example: git push origin HEAD:${exampleFor(branch, self)}`
  if (branch === TRUTH_BRANCH) return `${TRUTH_BRANCH} moves only when the members agree: ${wayOut}`
  if (branch === CERTIFICATES_BRANCH)
    return `${branch} holds what the members signed and moves with the ground truth alone: ${wayOut}`
  const owner = ownerOfBranch(branch, members)
  if (owner !== self)
    return `the branch ${branch} is ${owner === undefined ? 'not yours' : `${owner}'s`}: ${wayOut}`
  const step = branch.slice(0, -(self.length + 1))
  if (!isBranch(branch) || !isName(step)) {
    return `the step "${step}" is no name (lower-case letters, digits, dots, dashes, underscores): ${wayOut}`
  }
  if (command.to === undefined) {
    return `branches stay, since other members hold copies: "maoctl dataset reset" puts ${branch} elsewhere`
  }
  const at = held.get(branch)
  if (at !== command.from) {
    return at === undefined
      ? `the branch ${branch} is not here any more: fetch, then push again`
      : `the branch ${branch} has moved to ${at.slice(0, 12)} meanwhile: fetch, then push again`
  }
  return undefined
}

/** A branch of this node's own that is as near as may be to the one that was asked for. */
function exampleFor(branch: string, self: string): string {
  const step = branch
    .toLowerCase()
    .replaceAll(/[^a-z0-9._]+|\.\.+/g, '-')
    .slice(0, 40)
    .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, '')
  const isAgreed = branch === TRUTH_BRANCH || branch === CERTIFICATES_BRANCH
  const named = !isAgreed && isName(step) ? step : 'main'
  return named.endsWith(`-${self}`) ? named : branchOf(named, self)
}
