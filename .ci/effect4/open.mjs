/**
 * Tests that the build for Effect 4 does not pass yet, by file: `npm run test:effect4` leaves them out, so that it fails for new faults. Some
 * ask for numbers of steps, messages or shapes of Effect 3. Those of interruption at a step, of Redis and of reloaded files have to be
 * understood before the package is published.
 */
export const open = {
  "test/gateway/Dashboard.test.ts": ["lets the gateway shut down at once while a client reads its events"],
  "test/gateway/DashboardPage.test.ts": ["shows a lost connection, and reconnects when the gateway is back"],
  "test/gateway/Servers.test.ts": [
    "gives a permit of maxConcurrency back when its client leaves, whole and midway in a stream"
  ],
  "test/gateway/Shutdown.test.ts": [
    "refuses new requests on SIGTERM, completes those in flight, and exits with 0",
    "ends requests that are still in flight after the grace period with shutting_down",
    "serves on the same port at once when a gateway restarts after SIGKILL"
  ],
  "test/gateway/httpError.test.ts": ["covers every LLMError tag in this test's table"],
  "test/gateway/keyFile.test.ts": [
    "keeps the current keys when the file is invalid or missing, and logs why without a secret",
    "revokes removed keys while the store is unavailable, and stores new keys on their first use"
  ],
  "test/gateway/onDisconnect.test.ts": ["reads all choices of a request to their ends when its client disconnects"],
  "test/gateway/serversConnections.test.ts": [
    "answers absolute URLs, HTTP/1.0, Expect and repeated headers as it answers any other request",
    "ends all pipelined requests when their connection closes",
    "loses it when the call's time limit expires, which ends the request"
  ],
  "test/models/ModelsReloading.test.ts": [
    "answers every call while the file changes address, keys, weights and limits under load"
  ],
  "test/node/NodeTransport.test.ts": [
    "an HttpClient that a layer maps or replaces has no direct transport",
    "after the end keeps the connection",
    'decodes "identity" (6), whole and in pieces of one byte',
    'decodes "" (7), whole and in pieces of one byte',
    "are reused by requests one after another, and shared with the HttpClient",
    "keeps a dispatcher of the user's own open",
    "tunnels the requests of both transports, with the user and password of its URL",
    "that refuses the tunnel is an error",
    'of the environment is used with "environment", except for hosts of NO_PROXY'
  ],
  "test/testing/TestLLM.test.ts": ["TestLLM delays an answer by the test clock, and a step of never does not end"],
  "test/testing/generated/value.test.ts": [
    "decodes by an Effect Schema when it is generated from its JSON Schema",
    "decodes by an Effect Schema when it is generated from its JSON Schema in strict form",
    "decodes by an Effect Schema when it is generated from its JSON Schema for Anthropic",
    "is the same for the same schema and prompt"
  ],
  "test/accounting/CostsOverSockets.test.ts": ["adds up exactly the reported usage when every answer arrives whole"],
  // They block the event loop in some runs and pass in others. The cause is not known.
  "test/call/PlanSpans.test.ts": [
    "all end when a stream is interrupted before any of its steps",
    "all end when a stream whose consumer stops is interrupted before any of its steps"
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
