/** Bounds of connections: who is kept, relayed for, looked for, and how often. */
import { HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts'

/** Changes of the network's key that wait for each other: joins and their undoing, which come one by one. */
export const rekeysWaitingMax = 8
/** How long the parts of a host that does not start may take to come to rest; each does so within milliseconds. */
export const hostSettlesMs = 10 * SECOND_MS
/** One address of a peer; a black hole among them must not use up the time for the others. */
export const addressDialTimeoutMs = 3 * SECOND_MS
/**
 * Strangers' connections at once, half of all, and those of one stranger and of one address: an institute may be behind
 * one. Two ends that dial each other at the same time have two for a moment.
 */
export const strangersMax = 150
export const strangersPerPeerMax = 4
export const strangersPerAddressMax = 48
/** Connections of one member, so that none has the places of all others. */
export const connectionsPerMemberMax = 16
/** How long a stranger may be connected and ask for nothing while others wait for its place. */
export const idleStrangerMs = 1 * MINUTE_MS
/** Addresses that the user named and that are dialled whatever they are. */
export const waysNamedMax = 1_000
/** Peers connected beyond which those found on the local network or as bootstrap peers are not dialled any more. */
export const peersFoundMax = 100
/**
 * Members that a node keeps a connection with by itself. Gossip needs 4 to 8 of them; with 24, chosen at random, a
 * federation of 200 stays in one piece when half of it is gone, and its connections grow with its size, not its square.
 */
export const membersKeptMax = 24
/** Of these, operators: they relay, admit and decide; more would be everybody's hub. */
export const operatorsKeptMax = 6
/** Peers connected above which a node ends connections that it opened and does not need; and how long one may be idle. */
export const peersConnectedMax = 48
export const idleConnectionMs = 2 * MINUTE_MS
/** Addresses of one member that are remembered and tried. */
export const addressesPerPeerMax = 12
/** What is waited for further news of where members are, before those missing are dialled. */
export const contactsLookDelayMs = 200
/** Members whose addresses are remembered over restarts. */
export const peersRememberedMax = 2_000
/** How often the state of the own reachability is looked at: what changes it is slow. */
export const reachLookIntervalMs = 1 * SECOND_MS
/** A contact from outside is taken for proof that outsiders get in for so long: routers and addresses change. */
export const inboundProofMs = 1 * HOUR_MS

/** Relays on which a node that cannot be reached keeps a place: one may go. */
export const relaysKeptMax = 2
/** Addresses by one relay, and addresses in all, that a node tells of itself: a relay could name any number. */
export const addressesPerRelayMax = 2
export const addressesToldMax = 16
/** Members with a place on one relay: more than any federation has. */
export const relayPlacesMax = 512
/** A place is kept for so long unless it is renewed, which its holder does some minutes before. */
export const relayPlaceLifeMs = 1 * HOUR_MS
/** Relayed connections at once through one relay, and those of one peer. */
export const relayedMax = 1_024
export const relayedPerPeerMax = 64
/** Relayed connections of strangers, who come with an invitation or a request, which takes seconds. */
export const relayedStrangersMax = 16
export const relayedPerStrangerMax = 2
/** How long a stranger's relayed connection may last, and what it may send, unless it is a member by then. */
export const relayedStrangerMs = 2 * MINUTE_MS
export const relayedStrangerBytesMax = 4 * MIB

/** How often each connection is looked at for signs of life, and looks in vain until it is ended: 6 to 8 s after a cut. */
export const vigilanceIntervalMs = 2 * SECOND_MS
export const silentLooksMax = 3
/** How long what libp2p notes of peers is kept in memory before it is written: it notes something with every stream. */
export const peersWriteDelayMs = 10 * SECOND_MS
/** Peers of whom notes are kept in memory, some KiB each: more than are ever connected. */
export const peersUnwrittenMax = 1_000
/** Peers of whom notes are kept on disk, and the size of one: more addresses than that nobody has. */
export const peersNotedMax = 4_000
export const peerNoteBytesMax = 16 * KIB
/** A key of the distributed table, with the CID and the peer id of its provider, and what is kept under it: a time. */
export const tableKeyBytesMax = 256
export const tableValueBytesMax = 1 * KIB
/** Entries of one peer: a node says of a few federations that it is of them. */
export const tableEntriesPerPeerMax = 64
/** Entries of the distributed table that this node keeps for all others together, some 200 bytes each. */
export const tableEntriesMax = 20_000
/** One search of the distributed table; and how often a member says anew that it is there. */
export const tableSearchMs = 30 * SECOND_MS
export const rendezvousProvideIntervalMs = 1 * HOUR_MS
/** How often others of the federation are searched while hardly any is connected, and how often otherwise. */
export const rendezvousSearchIntervalMs = 30 * SECOND_MS
export const rendezvousIdleIntervalMs = 15 * MINUTE_MS
/** Members connected below which a node searches often. */
export const rendezvousContentWith = 2
/** Nodes that one search may bring, and those of them that are dialled, chosen at random: some may be liars. */
export const rendezvousFoundMax = 100
export const rendezvousDialledMax = 20
