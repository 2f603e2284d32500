/**
 * What git, ssh and servers say when a call to an upstream fails, as one of our errors with a way out. Their words are
 * of strangers: cleaned and bounded before anybody sees them. Pure.
 */
import { NodeError } from '../../base/errors.ts'
import { reasonCharactersMax } from '../../base/limits.ts'
import { printable } from '../../base/strangers-words.ts'
import { withoutGit } from '../git/remote.ts'
import { withoutSsh } from './ssh-access.ts'
import { hostOf, type UpstreamAddress } from './upstream-address.ts'

/** Whether ssh refused the key that the host showed. */
export function isHostKeyRefusal(stderr: string): boolean {
  return /Host key verification failed/.test(stderr)
}

/** The fingerprint of a key that differs from the one on record; of an unknown one ssh tells none. */
export function changedFingerprint(stderr: string): string | undefined {
  return /has changed and you have requested strict checking/.test(stderr)
    ? /(SHA256:[A-Za-z0-9+/]{43})/.exec(stderr)?.[1]
    : undefined
}

/** The lines that tell something, of one kind of white space and without what git adds to each failure of ssh. */
export function cleanWords(stderr: string, charactersMax = reasonCharactersMax): string {
  const told = printable(stderr, '\n', ' ')
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .filter((line) => line !== '' && !EMPTY_WORDS.some((words) => words.test(line)))
    .map((line) => line.replace(/^(?:fatal|error): /, ''))
  const text = [...new Set(told)].join('; ')
  return text.length <= charactersMax ? text : `…${text.slice(text.length - charactersMax + 1)}`
}

const EMPTY_WORDS = [
  /^@+$/,
  /^remote:$/,
  /Please make sure you have the correct access rights/,
  /^and the repository exists\.$/,
  /^hint: /,
  /^error: failed to push some refs to/,
  /^To \S+$/,
  /^Add correct host key in|^Offending |^remove with:|^ssh-keygen -f/,
]

/** A failed call as an error. A refused host key is for who can ask the host for it (`isHostKeyRefusal`). */
export function diagnose(stderr: string, address: UpstreamAddress, branch: string): NodeError {
  const [host, words] = [hostOf(address), cleanWords(stderr)]
  const data = { url: address.url }
  const failed = (message: string) => new NodeError('UPSTREAM_FAILED', message, data)
  if (/cannot run ssh|ssh: not found/.test(stderr)) return withoutSsh()
  if (/'remote-https?' is not a git command|cannot run git-remote-http/.test(stderr)) return withoutGit()
  if (/couldn't find remote ref/.test(stderr)) {
    const message = `The upstream ${address.url} has no branch ${branch}; name another one with "maoctl dataset upstream set", or push to make it`
    return new NodeError('NOT_FOUND', message, { ...data, branch })
  }
  if (/Permission denied \(/.test(stderr)) {
    return failed(
      `${host} lets none of this node's keys in as ${address.user}: give it the key that "maoctl dataset upstream key" tells (${words})`,
    )
  }
  if (/could not read (?:Username|Password)|Authentication failed|returned error: 40[13]\b/.test(stderr)) {
    return failed(
      `${host} does not let this node in: put a line https://user:password@${address.host} into the file that git.credentialsFile names, or mend the one that is there (${words})`,
    )
  }
  if (/returned error: 30\d|redirect/i.test(stderr)) {
    return failed(
      `${host} sends this node to another address, which it does not follow so that credentials stay where they belong; name that address as the upstream (${words})`,
    )
  }
  if (/fsck error|hasDot|object corrupt|Object corrupt|invalid sha1 pointer|bad object/.test(stderr)) {
    return new NodeError('PACK_REJECTED', `What ${host} sent was refused by git: ${words}`, data)
  }
  if (
    /early EOF|unexpected disconnect|hung up|RPC failed|index-pack failed|invalid index-pack|reset by peer/i.test(
      stderr,
    )
  ) {
    return failed(`The transfer from ${host} was cut; nothing has moved: ${words}`)
  }
  if (/certificate|SSL|TLS|gnutls/i.test(stderr)) {
    return failed(
      `The certificate of ${host} does not hold; where the host has an authority of its own, name its certificate in git.caFile (${words})`,
    )
  }
  return failed(`${host} did not do it: ${words === '' ? 'it gave no reason' : words}`)
}
