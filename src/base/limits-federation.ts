/** Bounds of membership: how a federation describes itself, who asks to come in, and what may be said about it. */
import { DAY_MS, HOUR_MS, KIB, MINUTE_MS, SECOND_MS } from './units.ts'

/** What a federation is for: a page at most. */
export const descriptionLengthMax = 2_000
/** Contacts of a federation, and the length of one: a mail address or the address of a page. */
export const contactsMax = 8
export const contactLengthMax = 100
/** Operators from the beginning: each of them is named in the genesis, which travels with every admission. */
export const foundersMax = 32
/** Changes of a federation's policy in all its life: each operator's record holds them all, within 64 KiB. */
export const policyChangesMax = 56
/** Operators whose endorsements count while more than one is needed: a policy names them all, and a record has many. */
export const policyOperatorsMax = 16
/** Why a member was removed or a request denied: a few sentences for people. */
export const reasonLengthMax = 500
/** What somebody who asks to come in writes to the operators. */
export const requestMessageLengthMax = 1_000
/** A request that nobody decides is over after so long, and so is the memory of one that was denied. */
export const requestLifeMs = 30 * DAY_MS
/** Open requests of one federation: more than people read. Further ones are refused until some are decided. */
export const requestsOpenMax = 200
/** Requests that one node takes from strangers in an hour: from one address, and from all. */
export const requestsPerSourceMax = 10
export const requestsPerHourMax = 60
export const requestPaceMs = HOUR_MS
/** Open requests of one source that one node keeps: who has one network is not to fill the book of all. */
export const requestsOpenPerSourceMax = 20
/** An open federation's operator looks again so much later for those whom its pace has made wait. */
export const requestsLookAgainMs = 5 * MINUTE_MS
/** How often a node whose request is open asks how it stands: soon while people may be watching, later seldom. */
export const requestAgainMinMs = 2 * SECOND_MS
export const requestAgainMaxMs = 10 * MINUTE_MS
/** A denial may be taken back, and may have been a liar's: a node asks so often whether it still stands. */
export const requestOverAgainMs = HOUR_MS
/** How long a node that is told of its admission waits for the record of it, before it counts the word as untrue, */
export const admissionShownMs = 20 * SECOND_MS
/** and how long after a catch-up with who told it that did not bring it. */
export const admissionLateMs = 2 * SECOND_MS
/** How long whoever takes its request back waits until members have heard of it. */
export const requestWithdrawMs = 5 * SECOND_MS
/** One message of the join protocol: a page of text, or a genesis. */
export const joinFrameBytesMax = 64 * KIB
/** Addresses of members that a newcomer remembers to ask at. */
export const requestContactsMax = 32
/** How long a former member is given to hear why its connection ends, */
export const farewellTimeoutMs = 2 * SECOND_MS
/** how long it may ask to come back once it is connected again, and how long it then stays away. */
export const farewellGraceMs = 5 * SECOND_MS
export const farewellRestMs = 30 * SECOND_MS
/** Members that one try asks, one after another, each with the patience of a dial. */
export const requestPeersAskedMax = 4
/** For whom an invitation is, in the operator's own words. */
export const invitationNoteLengthMax = 200
