import type { Command } from 'commander'
import {
  hostKeysSchema,
  publicKeySchema,
  pulledSchema,
  pushedSchema,
  type UpstreamOutcomeView,
  type UpstreamView,
  upstreamSchema,
} from '../api/upstream-views.ts'
import { NodeError } from '../base/errors.ts'
import { parseDuration } from './arguments.ts'
import type { ApiClient } from './client.ts'
import { type Output, type Pair, shortId, spanText, timeText } from './output.ts'
import type { Act, Session } from './session.ts'

const AFTER_HELP = `
URL is ssh://user@host[:port]/path, user@host:path or https://host[:port]/path, without a password: those stand in the
file that the setting git.credentialsFile names. Over ssh the node has keys and known hosts of its own (git.sshDirectory):

  maoctl dataset upstream key                          the public key, for the git host
  maoctl dataset upstream set data git@host:group/data.git --branch main
  maoctl dataset upstream trust data                   once, with the host's fingerprint in sight
  maoctl dataset upstream pull data                    onto your branch upstream-<node>; a round makes it the truth
  maoctl dataset upstream follow data --every 10m --push

Another member's record may name an upstream as well; your node calls it only after you have agreed to its address.`

const pathOf = (name: string, verb = '') => `/datasets/${encodeURIComponent(name)}/upstream${verb}`

export function datasetUpstreamCommands(dataset: Command, act: Act): void {
  const upstream = dataset
    .command('upstream')
    .description('a git repository elsewhere that a dataset is pulled from and pushed to')
    .addHelpText('after', AFTER_HELP)

  upstream
    .command('set <name> <url>')
    .description("name the upstream in the dataset's record")
    .option('--branch <branch>', "the upstream's branch", 'main')
    .action(
      act(async (session, name: string, url: string, { branch }: { branch: string }) => {
        const client = await session.connect()
        const named = await client.put(pathOf(name), upstreamSchema, { url, branch })
        session.out.result(named, () => `The upstream of ${name} is ${named.url}, branch ${named.branch}.`)
      }),
    )

  upstream
    .command('show <name>')
    .description('show the upstream, what was agreed to, and how the last calls ended')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const shown = await client.get(pathOf(name), upstreamSchema, { resolve: true })
        session.out.result(shown, () => render(session.out, shown))
      }),
    )

  upstream
    .command('pull <name>')
    .description("bring the upstream's branch onto this node's branch upstream-<node>")
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const url = await agreed(session, client, name)
        const pulled = await client.work(pathOf(name, '/pull'), pulledSchema, { url })
        session.out.result(pulled, () => {
          const { branch, commit, changed, initial } = pulled
          if (!changed) return `${branch} is at ${shortId(commit)} already, as the upstream is.`
          return `${branch} is at ${shortId(commit)} now${initial ? ', with which the dataset begins' : ''}.`
        })
      }),
    )

  upstream
    .command('push <name>')
    .description("bring the ground truth to the upstream's branch; nothing is ever forced")
    .option('--branches', "also this node's own branches, as they are named")
    .action(
      act(async (session, name: string, { branches }: { branches?: boolean }) => {
        const client = await session.connect()
        const url = await agreed(session, client, name)
        const pushed = await client.work(pathOf(name, '/push'), pushedSchema, { url, branches })
        session.out.result(pushed, () => {
          const rows = pushed.branches.map(({ branch, commit, outcome }) => [
            branch,
            shortId(commit),
            outcome,
          ])
          return session.out.table(['branch', 'commit', 'there'], rows)
        })
      }),
    )

  upstream
    .command('follow <name>')
    .description('pull from now on, again and again, also after a restart of the node')
    .requiredOption('--every <time>', 'such as 10m or 1h', parseDuration)
    .option('--push', 'push the ground truth after each pull')
    .action(
      act(async (session, name: string, { every, push }: { every: number; push?: boolean }) => {
        const client = await session.connect()
        const url = await agreed(session, client, name)
        const wish = { everyMs: every, push, url }
        const followed = await client.post(pathOf(name, '/follow'), upstreamSchema, wish)
        session.out.result(followed, () => {
          const what = push === true ? 'pulled and pushed' : 'pulled'
          return `${name} is ${what} every ${spanText(every)} from now on.`
        })
      }),
    )

  upstream
    .command('unfollow <name>')
    .description('pull and push only when told to')
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        const shown = await client.post(pathOf(name, '/unfollow'), upstreamSchema)
        session.out.result(shown, () => `${name} is pulled and pushed only when you say so.`)
      }),
    )

  upstream
    .command('trust <name>')
    .description("trust the key that the upstream's host shows over ssh")
    .option('--fingerprint <fingerprint>', 'the key to trust, as the host tells it elsewhere: SHA256:…')
    .addHelpText(
      'after',
      '\nWhoever names the fingerprint is not asked, as for scripts; --yes alone trusts nobody.',
    )
    .action(act(trust))

  upstream
    .command('key')
    .description('tell the public key of this node for git hosts; makes one where there is none')
    .action(
      act(async (session) => {
        const client = await session.connect()
        const key = await client.post('/upstream-key', publicKeySchema)
        session.out.result(key, () => key.publicKey)
      }),
    )

  upstream
    .command('remove <name>')
    .description("take the upstream out of the dataset's record; what was pulled stays")
    .action(
      act(async (session, name: string) => {
        const client = await session.connect()
        await session.confirm(`Take the upstream out of the record of ${name}?`)
        await client.delete(pathOf(name))
        session.out.result({ name, removed: true }, () => `${name} names no upstream any more.`)
      }),
    )
}

/** The address, once it is clear that the owner agrees to it. */
async function agreed(session: Session, client: ApiClient, name: string): Promise<string> {
  const { agreed, url } = await client.get(pathOf(name), upstreamSchema)
  if (agreed) return url
  // Only now is the name of the host asked for, which tells its server that somebody is interested.
  const { branch, addresses, namedBy, agreedTo } = await client.get(pathOf(name), upstreamSchema, {
    resolve: true,
  })
  const before =
    agreedTo === undefined ? '' : ` You have agreed to ${agreedTo.url}, branch ${agreedTo.branch}, before.`
  const at = addresses === undefined || addresses.length === 0 ? 'an unknown address' : addresses.join(', ')
  await session.confirm(
    `The record of ${name}, which is ${namedBy}'s, names ${url} (${at}), branch ${branch}.${before} Shall this node call it?`,
  )
  return url
}

async function trust(
  session: Session,
  name: string,
  { fingerprint }: { fingerprint?: string },
): Promise<void> {
  const client = await session.connect()
  const path = pathOf(name, '/trust')
  const shown = await client.post(path, hostKeysSchema)
  const key = fingerprint === undefined ? shown[0] : shown.find((each) => each.fingerprint === fingerprint)
  if (key === undefined) {
    const keys = shown.map((each) => each.fingerprint).join(', ')
    throw new NodeError('CONFLICT', `The host shows no key ${fingerprint}; it shows ${keys}`, { shown: keys })
  }
  if (key.trusted !== 'yes') {
    session.out.note(`${key.type} ${key.key}\n${key.fingerprint}`)
    if (key.trusted === 'other') {
      session.out.note(
        'This node trusts ANOTHER key of this host; it was replaced, or somebody stands in between.',
      )
    }
    if (fingerprint === undefined && (session.globals.yes === true || !session.isAttended)) {
      const message = `Nobody has compared the key; add --fingerprint ${key.fingerprint} if it is the host's`
      throw new NodeError('INVALID_INPUT', message, { fingerprint: key.fingerprint })
    }
    // Whoever names the fingerprint has compared it.
    if (fingerprint === undefined) await session.confirm("Is this the host's key, as it tells elsewhere?")
  }
  const told = await client.post(path, hostKeysSchema, { fingerprint: key.fingerprint })
  session.out.result(told, () => `This node trusts ${key.fingerprint} (${key.type}).`)
}

function render(out: Output, upstream: UpstreamView): string {
  const { url, branch, host, addresses, namedBy, agreed, agreedTo, pullsTo, commit, follow } = upstream
  const before = agreedTo === undefined ? '' : `, but to ${agreedTo.url}, branch ${agreedTo.branch}`
  const pairs: Pair[] = [
    ['upstream', url],
    ['branch', branch],
    ['host', addresses === undefined || addresses.length === 0 ? host : `${host} (${addresses.join(', ')})`],
    ['named by', namedBy],
    ['agreed', agreed ? 'yes' : `no${before}; "maoctl dataset upstream pull" asks`],
    [
      'pulls go to',
      `${pullsTo}${commit === undefined ? ', which is not there yet' : ` at ${shortId(commit)}`}`,
    ],
    ['followed', followText(follow)],
    ['last pull', outcomeText(upstream.pulled)],
    ['last push', outcomeText(upstream.pushed)],
  ]
  return out.pairs(pairs)
}

/** What stands beside the other facts of a dataset. */
export function upstreamFacts(upstream: UpstreamView): Pair[] {
  const { url, branch, agreed, follow, pulled, pushed } = upstream
  const consent = agreed ? '' : '; this node has not agreed to it'
  return [
    ['upstream', `${branch} of ${url}${consent}`],
    ...(follow === undefined ? [] : [['pulled', followText(follow)] as Pair]),
    ...(pulled === undefined ? [] : [['last pull', outcomeText(pulled)] as Pair]),
    ...(pushed === undefined ? [] : [['last push', outcomeText(pushed)] as Pair]),
  ]
}

function followText(follow: UpstreamView['follow']): string {
  if (follow === undefined) return 'no'
  const { everyMs, push, nextMs, failures, stopped } = follow
  const what = `every ${spanText(everyMs)}${push ? ', with a push' : ''}`
  if (stopped !== undefined) return `${what}, but stopped: ${stopped}`
  return `${what}, next at ${timeText(nextMs)}${failures === 0 ? '' : ` after ${failures} failures`}`
}

function outcomeText(outcome: UpstreamOutcomeView | undefined): string {
  if (outcome === undefined) return 'none yet'
  const { timeMs, commit, code, reason } = outcome
  if (code === undefined) return `${timeText(timeMs)}, ${shortId(commit)}`
  return `${timeText(timeMs)}, failed: ${reason ?? code} (${code})`
}
