package chat

// Stats is what a server has counted since its start. Each counter is exact, but the counters may
// be of slightly different moments.
type Stats struct {
	Connections uint64 // Clients that are connected now.
	Handshakes  uint64 // Handshakes that are in progress now.
	Rooms       uint64 // Rooms that exist now: with subscribers or with history.

	ConnectionsAccepted uint64 // Clients that have connected since the start.
	ConnectionsRefused  uint64 // Clients that were refused: they asked for a WebSocket or events, or sent no request.
	AcceptFailures      uint64 // Times that accepting a connection failed.

	MessagesReceived  uint64 // Messages that clients sent.
	MessagesPublished uint64 // Messages that clients or the host published, and broadcasts.
	MessagesDelivered uint64 // Messages that were handed to sockets or outboxes, once for each client.
	BytesDelivered    uint64 // Bytes of the frames of these messages.
	MessagesDropped   uint64 // Messages that were dropped for slow consumers.

	SlowConsumers  uint64 // Clients that were closed as slow consumers.
	PingTimeouts   uint64 // Clients whose connection was aborted because they did not answer a ping.
	ProtocolErrors uint64 // Clients that were closed because they broke the protocol or a limit.
	EventsDropped  uint64 // Message events that were dropped because they were not taken.

	AdmissionsRejected uint64 // Clients that the host rejected.
	AdmissionsTimedOut uint64 // Clients that the host did not decide on in time (Options.Overdue).

	// MessagesRefused counts messages of clients that were not published, because the host refused
	// them or did not decide in time, or because the server stopped.
	MessagesRefused uint64
	ReviewsTimedOut uint64 // Messages that the host did not decide on in time (Options.Overdue).

	RequestsAnswered uint64 // Requests for a page, such as "GET /health", that were answered, whatever the status.

	// SignalsReceived counts signals that clients sent, also those that were dropped; they are among the
	// messages received.
	SignalsReceived uint64
	// SignalsDropped counts signals of clients or the host that were dropped: beyond Options.SignalRate, or
	// because a queue was full. One that several workers drop counts for each.
	SignalsDropped uint64

	// Duplicates counts publications with a known key, of clients or the host, which were not published
	// again (PublishOptions.Key).
	Duplicates  uint64
	KeysEvicted uint64 // Keys that were forgotten before their time, because too many were known.
}
