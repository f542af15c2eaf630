"""Reasons: why something happened or does not happen, as a code and values for its sentence.

The only list of codes, each with its English template. Rows store code and values; pages translate the template and
insert the values when they show it. A person's or a server's words are plain text and are never translated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Union

from messages import Message
from messages import gettext_noop as gettext_noop
from scheduling.window import WARSAW


class Code(StrEnum):
    """The value is stored in rows and labels, so it never changes. %(name)s in the template is a value."""

    template: str

    def __new__(cls, value: str, template: str = "") -> "Code":
        code = str.__new__(cls, value)
        code._value_, code.template = value, template
        return code

    # Why an e-mail got another time.
    DOWNTIME = "downtime", gettext_noop("nothing could be sent at the time")
    WINDOW = "window", gettext_noop("outside the window")
    LIMIT = "limit", gettext_noop("the daily limit was reached")
    MAILBOX = "mailbox", gettext_noop("its mailbox could not be used")
    EDITED = "edited", gettext_noop("the settings were changed")
    RESUMED = "resumed", gettext_noop("sending was resumed")
    HOLIDAY = "holiday", gettext_noop("its day is a holiday or frozen")

    # Why a claim or hand-over was refused, or a campaign waits.
    STALE_HINT = "stale_hint", gettext_noop("the hint is stale")
    CLAIM_LOST = "claim_lost", gettext_noop("the claim is no longer this worker's")
    CLOCK_OFF = "clock_off", gettext_noop("this worker's clock is %(seconds).1f s off the database's")
    CAMPAIGN_STATUS = "campaign_status", gettext_noop("the campaign is %(status)s")
    SUPPRESSED = "suppressed", gettext_noop("suppressed: %(reason)s")
    SUPPRESSED_DOMAIN = (
        "suppressed_domain",
        gettext_noop("suppressed with its domain %(domain)s: %(reason)s"),
    )
    UNSUBSCRIBED = "unsubscribed", gettext_noop("unsubscribed")
    TO_BE_FORGOTTEN = "to_be_forgotten", gettext_noop("the person is to be forgotten")
    FORGOTTEN = "forgotten", gettext_noop("the person was forgotten")
    ERASED = "erased", gettext_noop("erased, because the person was forgotten")
    LETTER_DELETED = (
        "letter_deleted",
        gettext_noop("deleted on %(day)s, %(days)d days after it was handed over (retention.letters_days)"),
    )
    IMPORTED = "imported", gettext_noop("imported from %(file)s")
    STOPPED = "stopped", gettext_noop("not written to any more: %(because)s")
    HELD = "held", gettext_noop("held: %(because)s")
    NO_LEGAL_BASIS = "no_legal_basis", gettext_noop("no legal basis is recorded for this lead")
    PLANNED_FOR_LATER = "planned_for_later", gettext_noop("planned for later")
    TOO_LATE = "too_late", gettext_noop("its time passed while nothing could be sent")
    OUTSIDE_WINDOW = "outside_window", gettext_noop("outside the window")
    CLOSED_DAY = "closed_day", gettext_noop("a holiday, a frozen day, or after the campaign's last day")
    PAST_LAST_DAY = "past_last_day", gettext_noop("its campaign's last day is %(day)s")
    CAMPAIGN_LIMIT = "campaign_limit", gettext_noop("the campaign's daily limit of %(limit)d is used up")
    MAILBOX_LIMIT = "mailbox_limit", gettext_noop("the mailbox's daily limit of %(limit)d is used up")
    PROVIDER_LIMIT = (
        "provider_limit",
        gettext_noop("%(provider)s takes at most %(most)d e-mails in %(span)s from a mailbox"),
    )
    MAILBOX_LIMIT_0 = "mailbox_limit_0", gettext_noop("the mailbox's daily limit is 0")
    MAILBOX_STATUS = "mailbox_status", gettext_noop("the mailbox is %(status)s")
    MAILBOX_CLOSED = "mailbox_closed", gettext_noop("closed: %(because)s")
    SEQUENCE_OVER = "sequence_over", gettext_noop("all its letters were sent")
    LETTER_NOT_SENT = "letter_not_sent", gettext_noop("its last letter is %(status)s")
    MAILBOX_FROZEN = "mailbox_frozen", gettext_noop("the mailbox is frozen to %(to)s")
    MAILBOX_REMOVED = "mailbox_removed", gettext_noop("the mailbox is no longer one of its campaign's")
    ENDED_WITH_MAILBOX = (
        "ended_with_mailbox",
        gettext_noop("a person ended its sequence with its mailbox, which the campaign does not have any more"),
    )
    STEP_REMOVED = "step_removed", gettext_noop("its step was removed from the sequence")
    FOLLOW_UPS_WITHOUT_MAILBOX = (
        "follow_ups_without_mailbox",
        gettext_noop(
            "leads that wait for their next letter until you decide: %(leads)d; the campaign does not have their"
            " mailbox %(mailbox)s any more"
        ),
    )
    FOLLOW_UPS_OF_PAUSED = (
        "follow_ups_of_paused",
        gettext_noop("leads that wait for their next letter: %(leads)d; their mailbox %(mailbox)s is paused"),
    )
    PREDECESSOR = "predecessor", gettext_noop("the e-mail before it is %(status)s")
    NO_INBOX = (
        "no_inbox",
        gettext_noop(
            "its mailbox has no IMAP settings, so an answer would not be seen: add them, or set"
            " follow_up_without_inbox for its campaign"
        ),
    )
    INBOX_NOT_READ = "inbox_not_read", gettext_noop("an answer may be unread in its mailbox's inbox: %(because)s")
    NO_LOOK_SINCE = "no_look_since", gettext_noop("it was not read to its end after the wait")
    MAILBOX_BUSY = "mailbox_busy", gettext_noop("the mailbox is sending another e-mail")
    MAILBOX_GAP = "mailbox_gap", gettext_noop("the mailbox sent an e-mail a moment ago")
    PACE = "pace", gettext_noop("the campaign sent an e-mail a moment ago")
    SMTP_HOST_BUSY = "smtp_host_busy", gettext_noop("%(count)d e-mails are already being sent through its mail server")

    # Why an e-mail's status changed.
    ANSWER = "answer", gettext_noop("%(answer)s")  # the server's own words
    GAVE_UP = "gave_up", gettext_noop("gave up after %(attempts)d attempts in %(days)d days: %(because)s")
    MAILBOX_FAULT = "mailbox_fault", gettext_noop("mailbox: %(because)s")
    WITHDRAWN = "withdrawn", gettext_noop("stopped before the final dot: %(because)s")
    HAND_OVER_NOT_KEPT = (
        "hand_over_not_kept",
        gettext_noop("the hand-over could not be written to this machine's disk: %(error)s"),
    )
    HAND_OVER_NOT_RECORDED = (
        "hand_over_not_recorded",
        gettext_noop("the hand-over could not be recorded: %(error)s"),
    )
    NO_ANSWER = "no_answer", gettext_noop("no answer to the final dot: %(because)s")
    ANSWER_UNCLEAR = (
        "answer_unclear",
        gettext_noop("the server's answer to the final dot cannot be understood: %(answer)s"),
    )
    WORKER_DIED = "worker_died", gettext_noop("its worker died")
    WORKER_SILENT = "worker_silent", gettext_noop("its worker did not report in time")
    WORKER_DIED_LATE = "worker_died_after_hand_over", gettext_noop("its worker died after the hand-over")
    WORKER_SILENT_LATE = (
        "worker_silent_after_hand_over",
        gettext_noop("its worker did not report in time after the hand-over"),
    )
    COPY_FOUND = "copy_found", gettext_noop("found in %(folder)s by its %(header)s")
    CAMPAIGN_ENDED = "campaign_ended", gettext_noop("the campaign's last day is over")
    ANSWER_CITES = (
        "answer_cites",
        gettext_noop("a message in %(folder)s names it in its %(header)s"),
    )

    # Why a lead is held or stopped, and what takes that back.
    REPLIED = "replied", gettext_noop("the lead replied")
    COLLEAGUE_REPLIED = "colleague_replied", gettext_noop("%(lead)s of the same company replied")
    AWAY_UNTIL = "away_until", gettext_noop("an automatic reply says away until %(day)s")
    ANSWERED_AUTOMATICALLY = "answered_automatically", gettext_noop("an automatic reply names no date")
    LEFT = "left", gettext_noop("an automatic reply says that the person has left")
    UNCLEAR_REPLY = "unclear_reply", gettext_noop("a reply waits for a person to judge it")
    FORWARDED_BOUNCE = (
        "forwarded_bounce",
        gettext_noop("%(address)s bounced, to which the lead's address may be forwarded"),
    )
    SUPPRESSED_BEFORE_RESTORE = (
        "suppressed_before_restore",
        gettext_noop("suppressed before a backup was restored"),
    )
    REPORT_OF_ANOTHER_LETTER = (
        "bounce_of_another_letter",  # as the rows have it that were written when only bounces were held
        gettext_noop("a bounce or a complaint names the lead's address, and a letter that is not ours"),
    )
    BOUNCED = "bounced", gettext_noop("the address bounced: %(answer)s")
    COMPLAINED = "complained", gettext_noop("the lead marked an e-mail as spam")
    ASKED_TO_STOP = "asked_to_stop", gettext_noop("the lead asked not to be written to")
    ASKED_BY_ANOTHER = (
        "asked_by_another",
        gettext_noop("another address asked not to be written to, in answer to a letter to this one"),
    )
    # What a calibration mail shows.
    CALIBRATION_NOT_ARRIVED = (
        "calibration_not_arrived",
        gettext_noop("it did not arrive at %(to)s within %(seconds)d s: it may be late, and nothing is proved"),
    )
    CALIBRATION_ARRIVED = "calibration_arrived", gettext_noop("it arrived in the inbox of %(to)s after %(seconds)d s")
    CALIBRATION_JUNK = (
        "calibration_junk",
        gettext_noop("it arrived in %(folder)s of %(to)s, not in the inbox: leads may not see such e-mails"),
    )
    CALIBRATION_PASSES = "calibration_passes", gettext_noop("%(check)s passes, says the server of %(to)s")
    CALIBRATION_FAILS = (
        "calibration_fails",
        gettext_noop(
            "%(check)s does not pass (%(result)s), says the server of %(to)s: receivers refuse such e-mails or take"
            " them for spam"
        ),
    )
    CALIBRATION_NOT_TOLD = (
        "calibration_not_told",
        gettext_noop("the server of %(to)s does not say what it found for %(check)s, and nothing is proved"),
    )
    CALIBRATION_ONE_CLICK = (
        "calibration_one_click",
        gettext_noop("DKIM signs the headers of one-click unsubscribing, so it can be offered"),
    )
    CALIBRATION_NO_ONE_CLICK = (
        "calibration_no_one_click",
        gettext_noop("DKIM does not sign the headers of one-click unsubscribing, so it must not be offered"),
    )
    CALIBRATION_UNSIGNED = "calibration_unsigned", gettext_noop("it came without a DKIM signature")
    CALIBRATION_ID_KEPT = "calibration_id_kept", gettext_noop("its Message-ID was kept: replies are recognised by it")
    CALIBRATION_ID_REPLACED = (
        "calibration_id_replaced",
        gettext_noop("the provider replaces the Message-ID: replies are recognised by their sender's address"),
    )
    CALIBRATION_COPY = (
        "calibration_copy",
        gettext_noop("a copy is in the Sent folder: unknown e-mails can be settled by it"),
    )
    CALIBRATION_NO_COPY = (
        "calibration_no_copy",
        gettext_noop("no copy is in the Sent folder: unknown e-mails need a person's decision"),
    )
    CALIBRATION_SENT_UNREAD = "calibration_sent_unread", gettext_noop("the Sent folder could not be searched")
    JUDGED = "judged", gettext_noop("a person has read it")
    CORRECTED = "corrected", gettext_noop("a message was taken for %(before)s and is %(after)s: %(because)s")

    CAMPAIGN_CANCELLED = "campaign_cancelled", gettext_noop("the campaign was cancelled")
    MAILBOX_WAS_AT_FAULT = "mailbox_was_at_fault", gettext_noop("it was refused because of its mailbox")
    DATABASE_RESTORED = "database_restored", gettext_noop("the database was restored")

    # Why a campaign paused itself, or an installation is disarmed.
    TOO_MANY_REFUSED = (
        "too_many_refused",
        gettext_noop("%(refused)d of its last %(count)d e-mails were refused"),
    )
    TOO_MANY_BOUNCED = (
        "too_many_bounced",
        gettext_noop("%(refused)d of its last %(count)d mails were refused or bounced"),
    )
    LETTER_TOO_LARGE_FOR = (
        "letter_too_large_for",
        gettext_noop("its letter is too large for %(mailbox)s: %(because)s"),
    )
    DATABASE_BEHIND = (
        "database_behind",
        gettext_noop(
            "the database is behind the hand-over log of %(host)s, as after restoring a backup: run"
            " `python -m admin arm` on that machine"
        ),
    )
    BRINGING_BACK = (
        "bringing_back",
        gettext_noop("the e-mails that %(host)s sent before the database was restored are being recovered"),
    )

    # A campaign's standing.
    WAITING = "waiting", gettext_noop("waiting: %(because)s")
    WAITING_UNTIL = "waiting_until", gettext_noop("waiting until %(until)s: %(because)s")
    OPENS_LATER = "opens_later", gettext_noop("outside its window; continues %(until)s")
    UNPLANNABLE = (
        "unplannable",
        gettext_noop("cannot be planned: its delay, window or weekdays are invalid"),
    )
    GAP_UNUSABLE = "gap_unusable", gettext_noop("waiting: its mailbox's gap is invalid")
    COMPLETED_WITHOUT = (
        "completed_without",
        gettext_noop("the campaign is completed; leads that must not be written to: %(count)d"),
    )
    ENDED_WITHOUT = (
        "ended_without",
        gettext_noop("the campaign's last day is over; leads not written to: %(count)d"),
    )
    COMPLETED_UNFOLLOWED = (
        "completed_unfollowed",
        gettext_noop(
            "the campaign is completed: every lead was written to; leads who got no more letters because they answered"
            " or must not be written to: %(count)d"
        ),
    )
    ENDED_UNFOLLOWED = (
        "ended_unfollowed",
        gettext_noop("the campaign's last day is over; leads who did not get all its letters: %(count)d"),
    )
    LEADS_ADDED = "leads_added", gettext_noop("leads were added after it was completed")
    PAUSED_ITSELF = "paused_itself", gettext_noop("the campaign paused itself: %(because)s")
    PAUSED_BY_PERSON = "paused_by_person", gettext_noop("the campaign is paused: %(because)s")
    SENDING = "sending", gettext_noop("sending")
    HANDING_OVER = "handing_over", gettext_noop("handing over an e-mail; the next one follows")
    SENDING_NEXT_AT = "sending_next_at", gettext_noop("sending; the next e-mail goes out at %(until)s")
    NEXT_AT = "next_at", gettext_noop("the next e-mail goes out at %(until)s")
    TO_BE_PLANNED = "to_be_planned", gettext_noop("waiting to be planned")
    TO_BE_SETTLED = "to_be_settled", gettext_noop("waiting for a decision about its unknown e-mails")
    LAST_MAILS = "last_mails", gettext_noop("sending its last e-mails")
    NO_LEADS_LEFT = "no_leads_left", gettext_noop("none of the remaining leads may be written to")
    NOT_FOLLOWED_UP = (
        "not_followed_up",
        gettext_noop("every lead was written to; those who answered or must not be written to get no more letters"),
    )
    LEADS_ON_HOLD = "leads_on_hold", gettext_noop("its remaining leads are on hold")
    DONE = "done", gettext_noop("every e-mail has its final result")
    MAILBOXES_FULL = "mailboxes_full", gettext_noop("today's limits of its mailboxes are used up")
    LIMITS_0 = "limits_0", gettext_noop("all its mailboxes have a daily limit of 0")
    MAILBOXES_PAUSED = "mailboxes_paused", gettext_noop("all its mailboxes are paused")
    MAILBOXES_WITHOUT_DNS = (
        "mailboxes_without_dns",
        gettext_noop("none of its mailboxes is open: DNS records of their domains are missing"),
    )
    MAILBOXES_SHUT = "mailboxes_shut", gettext_noop("all its mailboxes are paused or have a daily limit of 0")
    NO_MAILBOX = "no_mailbox", gettext_noop("it has no mailbox")
    SENDS_NOTHING = "sends_nothing", gettext_noop("sends nothing: its daily limit is 0")
    SENDS_NO_MORE = (
        "sends_no_more",
        gettext_noop("sends no more today: %(used)d of its daily limit of %(limit)d are used"),
    )

    # What makes a calendar as long as it is.
    HELD_BY_DAILY_LIMIT = (
        "held_by_daily_limit",
        gettext_noop("held by daily_limit %(limit)d, its mailboxes allow %(mailboxes)d"),
    )
    HELD_BY_MAILBOXES = (
        "held_by_mailboxes",
        gettext_noop("held by its mailboxes' daily limits of %(mailboxes)d in all, daily_limit is %(limit)d"),
    )
    HELD_BY_RAMP = (
        "held_by_ramp",
        gettext_noop("held by its mailboxes' ramps: %(today)d a day now, %(mailboxes)d at their end"),
    )
    HELD_BY_SHARE = (
        "held_by_share",
        gettext_noop("held by other campaigns that send from the same mailboxes"),
    )
    HELD_BY_WINDOW = (
        "held_by_window",
        gettext_noop("held by its window and delay, which allow about %(window)d a day; daily_limit is %(limit)d"),
    )
    HELD_BY_LAST_DAY = "held_by_last_day", gettext_noop("its last day is %(day)s")
    HELD_BY_GAP = "held_by_gap", gettext_noop("held by the gap between two e-mails of a mailbox")
    HELD_BY_PROVIDER = (
        "held_by_provider",
        gettext_noop("held by %(provider)s, which takes at most %(limits)s from a mailbox"),
    )
    HELD_BY_CLOSING = "held_by_closing", gettext_noop("held by its mailboxes, which are closed for a while")
    STEADY = (
        "steady",
        gettext_noop("%(limit)d a day with %(steps)d steps is about %(new)d new leads a day, if nobody answers"),
    )
    STEADY_FALLS_BEHIND = (
        "steady_falls_behind",
        gettext_noop(
            "%(limit)d a day with %(steps)d steps is more follow-ups than the %(share)d %% of its mailboxes' days that"
            " they may take: they go later and later"
        ),
    )
    HELD_BY_DELAY = "held_by_delay", gettext_noop("held by its delay between two e-mails")

    # Why an order was refused.
    ONLY_FAILED = (
        "only_failed",
        gettext_noop("e-mail %(id)d is %(status)s: only a failed one can be tried again"),
    )
    ONLY_UNKNOWN = (
        "only_unknown",
        gettext_noop("e-mail %(id)d is %(status)s: only an unknown one can be settled"),
    )
    MUST_NOT_BE_WRITTEN_TO = "must_not_be_written_to", gettext_noop("its lead must not be written to")
    NOT_PROVED_REFUSED = (
        "not_proved_refused",
        gettext_noop("there is no proof that the server refused it"),
    )
    RETRY_NEEDS_REASON = "retry_needs_reason", gettext_noop("trying an e-mail again requires a reason")
    RULING_NEEDS_REASON = "ruling_needs_reason", gettext_noop("a decision requires a reason")
    REASON_TOO_LONG = "reason_too_long", gettext_noop("the reason must have at most %(most)d characters")
    ITS_CAMPAIGN_CANCELLED = "its_campaign_cancelled", gettext_noop("its campaign was cancelled")
    ITS_CAMPAIGN_ENDED = "its_campaign_ended", gettext_noop("its campaign has ended")
    ANSWER_MAY_COME = (
        "answer_may_come",
        gettext_noop("its worker may still get the server's answer until %(until)s"),
    )

    # What failed in a conversation with a mail server, before or instead of a reply.
    NO_CONNECTION = "no_connection", gettext_noop("no connection to %(host)s, port %(port)d (%(tried)s)")
    NO_ADDRESS = "no_address", gettext_noop("no IP address was found for %(host)s: %(error)s")
    NO_NAME_SERVER = (
        "no_name_server",
        gettext_noop("no DNS server answered for %(host)s within %(seconds)s s"),
    )
    TLS_FIRST = (
        "tls_first",
        gettext_noop("this port uses TLS from the first byte: set its security to tls"),
    )
    PLAIN_FIRST = (
        "plain_first",
        gettext_noop("this port does not begin with TLS: set its security to starttls"),
    )
    NO_STARTTLS = (
        "no_starttls",
        gettext_noop("the server offers no encryption (STARTTLS) on this port: use its TLS port, with security tls"),
    )
    TLS_TIMED_OUT = "tls_timed_out", gettext_noop("the TLS handshake timed out")
    TLS_HUNG_UP = "tls_hung_up", gettext_noop("the server closed the connection during the TLS handshake")
    TLS_FAILED = "tls_failed", gettext_noop("TLS failed: %(error)s")
    CERTIFICATE_EXPIRED = (
        "certificate_expired",
        gettext_noop("the certificate of %(host)s has expired: its provider must renew it"),
    )
    CERTIFICATE_NOT_YET_VALID = (
        "certificate_not_yet_valid",
        gettext_noop("the certificate of %(host)s is not valid yet: check this machine's clock"),
    )
    CERTIFICATE_OF_ANOTHER = (
        "certificate_of_another",
        gettext_noop("the certificate is not for %(host)s: use the host name that the provider gives"),
    )
    CERTIFICATE_UNTRUSTED = (
        "certificate_untrusted",
        gettext_noop(
            "the certificate of %(host)s is from an authority that this machine does not trust (%(error)s): ask its"
            " provider, or add the authority to this machine's certificates"
        ),
    )
    NO_PASSWORD_IN_CLEAR = (
        "no_password_in_clear",
        gettext_noop("a password is never sent over an unencrypted connection"),
    )
    NO_TOKEN_IN_CLEAR = (
        "no_token_in_clear",
        gettext_noop("an OAuth2 token is never sent over an unencrypted connection"),
    )
    NO_LOGIN = "no_login", gettext_noop("the server offers no login on this port")
    NO_KNOWN_LOGIN = (
        "no_known_login",
        gettext_noop("the server offers no supported login mechanism, only %(offered)s"),
    )
    NO_OAUTH_LOGIN = (
        "no_oauth_login",
        gettext_noop("the server offers no OAuth2 login (XOAUTH2 or OAUTHBEARER), only %(offered)s"),
    )
    # What a refused login means.
    PASSWORD_REFUSED = (
        "password_refused",
        gettext_noop(
            "the server refuses the user name or password (%(answer)s): set them with"
            " `python -m admin mailbox edit --username`"
        ),
    )
    APP_PASSWORD_NEEDED = (
        "app_password_needed",
        gettext_noop(
            "the server refuses the account's own password (%(answer)s): use an app password, or OAuth2 with"
            " `python -m admin mailbox authorize`"
        ),
    )
    NO_PASSWORDS_ANY_MORE = (
        "no_passwords_any_more",
        gettext_noop(
            "the provider accepts no passwords any more (%(answer)s): use OAuth2 with"
            " `python -m admin mailbox authorize`"
        ),
    )
    SMTP_AUTH_OFF = (
        "smtp_auth_off",
        gettext_noop(
            "SMTP AUTH is off for this mailbox or its whole organisation (%(answer)s): its administrator must turn it"
            " on, for OAuth2 too"
        ),
    )
    TOKEN_NOT_ACCEPTED = (
        "token_not_accepted",
        gettext_noop(
            "the server refuses the OAuth2 login (%(answer)s): the token may belong to another account, or IMAP or SMTP"
            " may be off for this one; run `python -m admin mailbox authorize` and sign in as this mailbox"
        ),
    )
    # What the provider's login server says instead of an access token.
    LOGIN_SERVER_AWAY = (
        "login_server_away",
        gettext_noop("the provider's login server %(host)s gave no access token (%(error)s): tried again later"),
    )
    ACCESS_ENDED = (
        "access_ended",
        gettext_noop(
            "the provider no longer accepts this authorization (%(error)s): run `python -m admin mailbox authorize`"
        ),
    )
    APP_REFUSED = (
        "app_refused",
        gettext_noop(
            "the provider refuses the app registration (%(error)s): correct it there, then run"
            " `python -m admin mailbox authorize` with its client id and secret"
        ),
    )
    AUTHORIZATION_REFUSED = (
        "authorization_refused",
        gettext_noop("the provider refuses the authorization (%(error)s)"),
    )
    TOKEN_NOT_RENEWED = (
        "token_not_renewed",
        gettext_noop("its access token could not be renewed now: %(error)s"),
    )
    LOGIN_HUNG_UP = (
        "login_hung_up",
        gettext_noop("the server closed the connection during the login with %(mechanism)s"),
    )
    CRAM_MD5_UNCLEAR = (
        "cram_md5_unclear",
        gettext_noop("the server's CRAM-MD5 challenge cannot be understood"),
    )
    NO_SMTP = "no_smtp", gettext_noop("the server's answer cannot be understood: it is not SMTP")
    NOT_CONNECTED = "not_connected", gettext_noop("the connection is closed")
    HUNG_UP = "hung_up", gettext_noop("the server closed the connection")
    TOOK_TOO_LONG = "took_too_long", gettext_noop("the conversation took too long")
    TIMED_OUT = "timed_out", gettext_noop("timed out")
    ENDLESS_REPLY = "endless_reply", gettext_noop("the reply has too many lines")
    ENDLESS_LINE = "endless_line", gettext_noop("the reply has a line that is too long")
    CONNECTION_FAILED = "connection_failed", gettext_noop("the connection failed: %(error)s")
    LETTER_TOO_LARGE = (
        "letter_too_large",
        gettext_noop("the letter has %(letter)d bytes, and the server accepts at most %(takes)d"),
    )
    DOT_TOO_LATE = "dot_too_late", gettext_noop("too much time passed between the hand-over and the final dot")
    NO_ASCII_FORM = "no_ascii_form", gettext_noop("the address cannot be written in ASCII")
    SECRET_KEY_CHANGED = (
        "secret_key_changed",
        gettext_noop("a stored mailbox password cannot be decrypted with this PUNKTUAL_SECRET_KEY"),
    )
    SECRET_KEY_INVALID = (
        "secret_key_invalid",
        gettext_noop(
            "PUNKTUAL_SECRET_KEY must be 32 url-safe base64-encoded bytes, as `python -m admin new-key` prints"
        ),
    )
    SECRET_KEY_MISSING = (
        "secret_key_missing",
        gettext_noop("set PUNKTUAL_SECRET_KEY: it encrypts the mailbox passwords (`python -m admin new-key`)"),
    )

    # What a domain's DNS says about its mail, and what that means.
    RECORDS_MISSING = (
        "records_missing",
        gettext_noop("%(domain)s has long been missing DNS records (%(records)s): it opens when they are back"),
    )
    DNS_SILENT = "dns_silent", gettext_noop("no name server told anything about %(domain)s: asked again later")
    MX_OK = "mx_ok", gettext_noop("answers and bounces reach %(domain)s (mail servers: %(count)d)")
    MX_IMPLICIT = (
        "mx_implicit",
        gettext_noop("%(domain)s names no mail server: answers go to its web address, where few servers take them"),
    )
    MX_NULL = "mx_null", gettext_noop("%(domain)s says that it takes no mail: answers and bounces are lost")
    MX_MISSING = (
        "mx_missing",
        gettext_noop("%(domain)s names no mail server (MX): answers and bounces are lost, and many refuse its mail"),
    )
    SPF_OK = "spf_ok", gettext_noop("%(domain)s says which servers may send its mail")
    SPF_MISSING = (
        "spf_missing",
        gettext_noop("%(domain)s does not say which servers may send its mail (SPF): Gmail and others refuse it"),
    )
    SPF_SEVERAL = (
        "spf_several",
        gettext_noop("%(domain)s has %(count)d SPF records, so all of them count for nothing: join them into one"),
    )
    SPF_LOOK_UPS = (
        "spf_look_ups",
        gettext_noop(
            "the SPF record of %(domain)s needs more than %(most)d look-ups, so receivers give up: include fewer others"
        ),
    )
    SPF_ALLOWS_ALL = (
        "spf_allows_all",
        gettext_noop("the SPF record of %(domain)s lets everybody send its mail: end it with -all or ~all"),
    )
    SPF_OPEN_END = (
        "spf_open_end",
        gettext_noop("the SPF record of %(domain)s says nothing about other servers: end it with -all or ~all"),
    )
    DMARC_OK = "dmarc_ok", gettext_noop("%(domain)s has forged mail in its name treated as: %(policy)s")
    DMARC_NONE = (
        "dmarc_none",
        gettext_noop(
            "%(domain)s has a DMARC record that asks for nothing (p=none): enough for Gmail, and no protection"
        ),
    )
    DMARC_MISSING = (
        "dmarc_missing",
        gettext_noop("%(domain)s has no DMARC record: Gmail and Yahoo want one from those who send much"),
    )
    DMARC_SEVERAL = (
        "dmarc_several",
        gettext_noop("%(domain)s has %(count)d DMARC records, so none of them counts: keep one"),
    )
    DMARC_NO_POLICY = (
        "dmarc_no_policy",
        gettext_noop("the DMARC record of %(domain)s has no policy (p=none, quarantine or reject)"),
    )

    # Why no message can be built from a letter.
    SUBJECT_TOO_LONG = "subject_too_long", gettext_noop("the subject is longer than %(most)d characters")
    PART_EMPTY = "part_empty", gettext_noop("the %(part)s is empty: it has no visible text")
    HTML_EMPTY = "html_empty", gettext_noop("the html is empty: it shows no text and no picture")
    CONTROL_CHARACTER = "control_character", gettext_noop("the %(part)s has a control character (%(character)s)")
    FIELD_EMPTY = (
        "field_empty",
        gettext_noop("'%(field)s' is empty: fill it in, or give it a default in %(where)s line %(line)d"),
    )
    FIELD_HAS_BREAK = (
        "field_has_break",
        gettext_noop("'%(field)s' has a line break, and the subject prints it; remove the line break"),
    )
    RESULT_TOO_LONG = "result_too_long", gettext_noop("%(where)s: the result is longer than %(most)d characters")
    TEMPLATE_FAILS = "template_fails", gettext_noop("%(where)s line %(line)d: the template fails: %(error)s")
    NO_SUCH_FIELD = "no_such_field", gettext_noop("%(where)s line %(line)d: %(error)s; the fields are %(fields)s")
    FIELDS_DAMAGED = "fields_damaged", gettext_noop("the lead's fields are not names with texts")
    FINISHED_LINE = "finished_line", gettext_noop("the finished message has a line that is not allowed in e-mail")
    FINISHED_HEADERS = "finished_headers", gettext_noop("the finished message has other headers than intended")
    FINISHED_FIELDS = (
        "finished_fields",
        gettext_noop("the finished message has another sender, recipient, ID or subject form than intended"),
    )
    FINISHED_PARTS = "finished_parts", gettext_noop("the finished message has other parts than intended")
    NOT_COMPOSED = "not_composed", gettext_noop("the letter cannot be composed: %(error)s")


Value = Union[str, int, float, datetime, "Reason"]
Why = Union["Reason", str]  # a Reason, or a person's or a server's own words


def warsaw(at: datetime) -> str:
    return f"{at.astimezone(WARSAW):%a %Y-%m-%d %H:%M:%S}"


# Values that are our own words and so are translated: a status, a part of a letter.
_WORDS = ("status", "part")


@dataclass(frozen=True, init=False)
class Reason(Message):
    """A message that is stored: its template is known by a code."""

    code: Code
    values: Mapping[str, Value]

    def __init__(self, code: Code, **values: Value) -> None:
        object.__setattr__(self, "code", code)
        object.__setattr__(self, "template", code.template)
        object.__setattr__(self, "values", values)

    def __hash__(self) -> int:
        return hash((self.code, tuple(sorted(self.values.items(), key=lambda it: it[0]))))

    def __str__(self) -> str:
        """The text in English, with times in Warsaw time."""
        return self.text()

    def text(self, translate: Callable[[str], str] = str, moment: Callable[[datetime], str] = warsaw) -> str:
        filled = {name: self._filled(name, value, translate, moment) for name, value in self.values.items()}
        return translate(self.code.template) % filled

    def _filled(
        self, name: str, value: Value, translate: Callable[[str], str], moment: Callable[[datetime], str]
    ) -> object:
        match value:
            case Message():
                return value.text(translate, moment)
            case datetime():
                return moment(value)
            case str() if name in _WORDS:
                return translate(value)
        return value


def why(failure: Exception) -> Why:
    """Why an exception was raised: its Reason if it has one, else its text."""
    return failure.args[0] if failure.args and isinstance(failure.args[0], Reason) else str(failure)
