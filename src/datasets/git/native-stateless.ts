/**
 * git's own upload-pack for one request of its smart HTTP protocol (gitprotocol-http(5)): the server keeps nothing
 * between two requests, so a process answers each.
 */
import { MINUTE_MS, SECOND_MS } from '../../base/limits.ts'
import type { GitProgram } from './git-program.ts'
import { GitExit } from './git-program.ts'
import type { StatelessRead } from './repository.ts'

/** The request is at hand as a whole, so git never waits for it for long. */
const INPUT_TIMEOUT_MS = 1 * MINUTE_MS

/** `ERR` in a packet of its own at the end (gitprotocol-pack(5), "error-line"), in an answer of so few chunks. */
const ERROR_PACKET = /(?:^|\n|0000)[0-9a-f]{4}ERR [^\n]*\n?$/
const LAST_WORDS_MAX = 4

const SETTINGS = [
  // Versions, shallow clones and single objects are as git has them; this is on demand (stock-git.md P6).
  'uploadpack.allowFilter=true',
  // Whatever is in a dataset's repository is the dataset's, and members may ask for any of it (dataset-fetch.md D2).
  // Version 2 of the protocol hands it out by id anyway; here the older ones are made to do the same, without which a
  // partial clone could not fetch its files from them later (stock-git.md P8).
  'uploadpack.allowAnySHA1InWant=true',
  // Branches are what a dataset has; whatever else refs may be for, it is this node's own affair (stock-git.md P7).
  'uploadpack.hideRefs=refs/',
  'uploadpack.hideRefs=!refs/heads/',
]

/** @throws GitExit when git fails, NodeError UNSUPPORTED when it is gone. */
export async function* serveStatelessRead(
  git: Pick<GitProgram, 'spawn'>,
  path: string,
  { protocol, request }: StatelessRead,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const settings = SETTINGS.flatMap((setting) => ['-c', setting])
  // The newer name of the option for the advertisement, `--http-backend-info-refs`, is unknown to git before 2.34.
  const options = [
    `--timeout=${INPUT_TIMEOUT_MS / SECOND_MS}`,
    ...(request === undefined ? ['--advertise-refs'] : []),
  ]
  const args = [...settings, 'upload-pack', '--strict', '--stateless-rpc', ...options, path]
  const child = git.spawn(args, {
    signal,
    ...(protocol === undefined ? {} : { env: { GIT_PROTOCOL: `version=${protocol}` } }),
  })
  // Read again below; a process that does not start must not end ours meanwhile.
  child.ended.catch(() => undefined)
  try {
    child.stdin.end(request ?? '')
    const said: Buffer[] = []
    for await (const chunk of child.stdout) {
      if (said.length < LAST_WORDS_MAX) said.push(chunk as Buffer)
      yield chunk as Buffer
    }
    const { code, stderr } = await child.ended
    signal.throwIfAborted()
    // A refusal that git has put in words is an answer, and whole (stock-git.md P9).
    const isTold = said.length < LAST_WORDS_MAX && ERROR_PACKET.test(Buffer.concat(said).toString('latin1'))
    if (code !== 0 && !isTold) throw new GitExit('upload-pack', code, stderr)
  } finally {
    child.kill()
  }
}
