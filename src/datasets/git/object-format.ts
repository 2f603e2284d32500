import { NodeError } from '../../base/errors.ts'

const TREE = /^tree [0-9a-f]{40}$/
const PARENT = /^parent [0-9a-f]{40}$/
const PERSON = /^(author|committer) (?:[^<>\n]* )?<[^<>\n]*> (?:0|[1-9]\d{0,18}) [+-]\d{4}$/

/**
 * What git's own check demands of a commit (git fsck --strict): its fields in their order, and no NUL before the message.
 *
 * @throws NodeError PACK_REJECTED
 */
export function checkCommit(oid: string, bytes: Uint8Array): void {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  const gap = text.indexOf('\n\n')
  const lines = (gap === -1 ? text : text.slice(0, gap)).split('\n')
  let at = 0
  if (!TREE.test(lines[at++] ?? '')) throw malformed(oid, 'names no tree first')
  while (PARENT.test(lines[at] ?? '')) at += 1
  for (const role of ['author', 'committer']) {
    if (PERSON.exec(lines[at++] ?? '')?.[1] !== role) throw malformed(oid, `does not tell its ${role}`)
  }
  if (text.includes('\0')) throw malformed(oid, 'holds a NUL')
}

function malformed(oid: string, how: string): NodeError {
  return new NodeError('PACK_REJECTED', `The commit ${oid} ${how}`, { oid })
}
