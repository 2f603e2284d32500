/*
 * What members sign of a result (protocols/voting.md, votes and locks), for spin: two rounds of one height, four members,
 * one of which lies. It may sign anything at any time, show it to whom it likes and take it back, so it has no state: two
 * honest signatures are a quorum of three as soon as it wants them to be. Messages have none either: what honest members
 * signed may be seen at any later time, or never. What is signed is durable, so a crash changes nothing here.
 *
 * -DSAME: both rounds were opened at one time. -DNULLS: members may find no majority, too. Mutations, each of which must
 * lead to two certificates: -DNOLOCK (votes although it is locked), -DNOORDER (confirms although it voted later).
 */
#define VIEWS 4
#define HONEST 3
#define NONE 255
/* Values: the results of the two rounds, and "no majority", which is voted for and nothing else. */
#define RESULT 1
#define OTHER 2
#define NULL_ 3

#ifdef SAME
#define FIRST(v) 0
#else
#define FIRST(v) (v == OTHER)
#endif

/* A bit for each value, by member and view. */
byte votes[HONEST * VIEWS];
byte confirmations[HONEST * VIEWS];
byte voted[HONEST];
byte confirmed[HONEST];
byte locked[HONEST];

#define AT(m, w) ((m) * VIEWS + (w))
#define HAS(set, m, v, w) ((set[AT(m, w)] >> (v)) & 1)
#define HONEST_FOR(set, v, w) (HAS(set, 0, v, w) + HAS(set, 1, v, w) + HAS(set, 2, v, w))
/* Two honest ones and the liar are three of four. */
#define QUORUM(set, v, w) (HONEST_FOR(set, v, w) >= 2)
#define LATER(w, than) (than == NONE || w > than)

#ifdef NOLOCK
#define UNLOCKED(m) true
#define FREE(m, v, s) true
#else
#define UNLOCKED(m) (locked[m] == 0)
#define FREE(m, v, s) (locked[m] == 0 || locked[m] == v || confirmed[m] < s)
#endif
#ifdef NOORDER
#define NOT_BEYOND(m, w) true
#else
#define NOT_BEYOND(m, w) (voted[m] == NONE || voted[m] <= w)
#endif
#define RISES(m, w) LATER(w, voted[m])

/* A quorum voted for v in a view before w, and what the member is locked on leaves it free to follow. */
#define SEEN_IN(m, v, w, s) (s < w && QUORUM(votes, v, s) && FREE(m, v, s))
#define SEEN(m, v, w) (SEEN_IN(m, v, w, 0) || SEEN_IN(m, v, w, 1) || SEEN_IN(m, v, w, 2))
/* Its own counting, in the round's first view; none in either round takes up the view all the same. */
#define MAY_COUNT(m, v, w) (UNLOCKED(m) && (v == NULL_ && w <= FIRST(OTHER) || v != NULL_ && w == FIRST(v)))
/* Again, for what a quorum voted for in an earlier view. */
#define MAY_REPEAT(m, v, w) (v != NULL_ && w > FIRST(v) && SEEN(m, v, w))

#define MAY_VOTE(m, v, w) (RISES(m, w) && LATER(w, confirmed[m]) && (MAY_COUNT(m, v, w) || MAY_REPEAT(m, v, w)))
#define MAY_CONFIRM(m, v, w) (QUORUM(votes, v, w) && NOT_BEYOND(m, w) && LATER(w, confirmed[m]))
#define VOTE(v, w) \
  :: d_step { MAY_VOTE(m, v, w) -> votes[AT(m, w)] = votes[AT(m, w)] | (1 << v); voted[m] = w }
#define CONFIRM(v, w) \
  :: d_step { MAY_CONFIRM(m, v, w) -> confirmations[AT(m, w)] = confirmations[AT(m, w)] | (1 << v); confirmed[m] = w; locked[m] = v }

proctype Member(byte m) {
  do
  VOTE(RESULT, 0) VOTE(RESULT, 1) VOTE(RESULT, 2) VOTE(RESULT, 3)
  VOTE(OTHER, 0) VOTE(OTHER, 1) VOTE(OTHER, 2) VOTE(OTHER, 3)
#ifdef NULLS
  VOTE(NULL_, 0) VOTE(NULL_, 1)
#endif
  CONFIRM(RESULT, 0) CONFIRM(RESULT, 1) CONFIRM(RESULT, 2) CONFIRM(RESULT, 3)
  CONFIRM(OTHER, 0) CONFIRM(OTHER, 1) CONFIRM(OTHER, 2) CONFIRM(OTHER, 3)
  od
}

#define CERTIFIED(v) (QUORUM(confirmations, v, 0) || QUORUM(confirmations, v, 1) || QUORUM(confirmations, v, 2) || QUORUM(confirmations, v, 3))

/* That anything is certified at all shows that the model can move: -DREACH must fail. */
active proctype Watch() {
#ifdef REACH
  atomic { CERTIFIED(OTHER) -> assert(false) }
#else
  atomic { CERTIFIED(RESULT) && CERTIFIED(OTHER) -> assert(false) }
#endif
}

init {
  atomic {
    voted[0] = NONE; voted[1] = NONE; voted[2] = NONE;
    confirmed[0] = NONE; confirmed[1] = NONE; confirmed[2] = NONE;
    run Member(0);
    run Member(1);
    run Member(2)
  }
}
