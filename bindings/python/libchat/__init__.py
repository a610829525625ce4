"""A WebSocket chat and broadcast server inside your program.

    import libchat

    server = libchat.Server(listen="127.0.0.1:9001")
    server.publish("lobby", "welcome")
    libchat.run(server)  # Until Ctrl-C.
"""

from ._abi import CONSTANTS as _CONSTANTS
from ._members import Member
from ._run import run
from .errors import (
    AddressInUseError,
    AddressUnavailableError,
    Error,
    FailedError,
    ForkedError,
    InHandlerError,
    InvalidArgumentError,
    InvalidUtf8Error,
    IoError,
    KeyReusedError,
    NotFoundError,
    PanicError,
    PermissionDeniedError,
    QueueFullError,
    ResourceLimitError,
    StoppedError,
    TimedOutError,
    TooLargeError,
    TooManyRoomsError,
    UnsupportedError,
)
from .events import (
    AcceptFailed,
    Connected,
    ConnectRequest,
    Disconnected,
    Event,
    EventsDropped,
    Joined,
    Left,
    MemberEntered,
    MemberLeft,
    Message,
    MessageRequest,
    MessagesDropped,
    RoomOccupied,
    RoomVacated,
    Signal,
    Stopped,
)
from .history import HistoryPage, StoredMessage
from .options import Options
from .past import ALL
from .position import Position, Published
from .request import Request
from .server import Server, Stats

__version__ = ".".join(str(_CONSTANTS[f"CHAT_VERSION_{part}"]) for part in ("MAJOR", "MINOR", "PATCH"))

__all__ = [
    "ALL",
    "AcceptFailed",
    "AddressInUseError",
    "AddressUnavailableError",
    "ConnectRequest",
    "Connected",
    "Disconnected",
    "Error",
    "Event",
    "EventsDropped",
    "FailedError",
    "ForkedError",
    "HistoryPage",
    "InHandlerError",
    "InvalidArgumentError",
    "InvalidUtf8Error",
    "IoError",
    "Joined",
    "KeyReusedError",
    "Left",
    "Member",
    "MemberEntered",
    "MemberLeft",
    "Message",
    "MessageRequest",
    "MessagesDropped",
    "NotFoundError",
    "Options",
    "PanicError",
    "PermissionDeniedError",
    "Position",
    "Published",
    "QueueFullError",
    "Request",
    "ResourceLimitError",
    "RoomOccupied",
    "RoomVacated",
    "Server",
    "Signal",
    "Stats",
    "Stopped",
    "StoppedError",
    "StoredMessage",
    "TimedOutError",
    "TooLargeError",
    "TooManyRoomsError",
    "UnsupportedError",
    "__version__",
    "run",
]
