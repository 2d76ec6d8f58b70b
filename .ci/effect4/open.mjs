/**
 * Tests that the build for Effect 4 does not pass yet, by file: `npm run test:effect4` leaves them out, so that it fails for new faults. Some
 * ask for numbers of steps, messages or shapes of Effect 3. Those of interruption at a step, of Redis and of reloaded files have to be
 * understood before the package is published.
 */
export const open = {
  "test/accounting/CostsOverSockets.test.ts": ["adds up exactly the reported usage when every answer arrives whole"],
  // Hooks of a tracer have another form in Effect 4, and one that throws is called without end.
  "test/call/PlanSpans.test.ts": [
    "surrounds the request of each attempt of a chat with the span of the attempt",
    "surrounds the request of each attempt of a stream with the span of the attempt",
    "surrounds the request of each attempt of a stream whose consumer stops with the span of the attempt",
    "in span  loses no permit and no key of a chat",
    "in span  loses no permit and no key of a stream"
  ],
  "test/keyPool/KeyPoolServers.test.ts": [
    "get an answer a second as long as they may wait, with few requests at a time"
  ],
  "test/rateLimiter/FollowsHeaders.test.ts": [
    "sends no request that the provider would refuse, where fixed limits alone would"
  ],
  "test/rateLimiter/RateLimiterKinds.test.ts": [
    "makePerModel limits each listed model separately and all others together"
  ],
  "test/rateLimiter/RateLimiterRefill.test.ts": [
    "recurrences that pass without a call count, and do not move later ones",
    "a wait for tokens and days passes over recurrences and stays exact"
  ],
  "test/rateLimiter/TokenEstimates.test.ts": ["reports the distribution of its error as a metric"],
  "test/vocabulary/declaredTypes.test.ts": [
    "requests, answers, events and errors are declared by their names, not by their fields"
  ]
}
