/**
 * For both ends of a session: a peer that is gone without a word is noticed some 70 seconds after it was last
 * heard (a probe each second from then on, ten of them unanswered), so that neither a session nor the
 * connection that it holds at the backend outlives it. The system's own default is over two hours.
 */
export const peerKeepAlive = { keepAlive: true, keepAliveInitialDelay: 60_000 } as const;
