/**
 * Makes the node that loads it a liar: whatever the ballots come to, it signs its own result as theirs.
 *
 *   NODE_OPTIONS="--import ./examples/consensus/liar.ts" maoctl instance start
 *
 * It keeps all other rules: a vote like this one is well formed, signed, in time and the member's first.
 */
import { Duties } from '../../src/consensus/duties.ts'

const { perform } = Duties.prototype
let own: string | undefined

Duties.prototype.perform = function perjure(action, situation, signal) {
  if (action.do === 'cast') own = action.ballot.commit
  const isVote = action.do === 'vote' && own !== undefined
  return perform.call(this, isVote ? { ...action, commit: own as string } : action, situation, signal)
}
