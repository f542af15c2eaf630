"""What mail servers say when they refuse, where that was read, and whom it is about."""

from typing import NamedTuple

from mail.outcome import Phase

RCPT, DATA, DOT, MAIL = Phase.RCPT, Phase.DATA, Phase.DOT, Phase.MAIL


class Wording(NamedTuple):
    """phase, code, words, source."""

    phase: Phase
    code: int
    words: str
    source: str


def _of(source: str, *answers: tuple[Phase, int, str]) -> list[Wording]:
    return [Wording(*answer, source) for answer in answers]


NO_SUCH_RECIPIENT = [
    *_of(
        "postfix, virtual_mailbox_maps and local_recipient_maps",
        (RCPT, 550, "5.1.1 <anna@leads.example>: Recipient address rejected: User unknown in virtual mailbox table"),
        (RCPT, 550, "5.1.1 <anna@leads.example>: Recipient address rejected: User unknown in local recipient table"),
        (RCPT, 550, "5.1.1 <anna@leads.example>: Recipient address rejected: undeliverable address: unknown user"),
        (
            RCPT,
            550,
            "5.1.0 <policy-limit@spam.example>: Recipient address rejected: User unknown in relay recipient table",
        ),
        (RCPT, 556, "5.1.10 <anna@leads.example>: Recipient address rejected: Domain does not accept mail (nullMX)"),
        (RCPT, 501, "5.1.3 Bad recipient address syntax"),
        (RCPT, 550, "5.1.2 <anna@leads.example>: Recipient address rejected: Domain not found"),
    ),
    *_of(
        "exim",
        (RCPT, 550, "No Such User Here"),
        (RCPT, 550, "Unrouteable address"),
        (RCPT, 550, "unknown user"),
        (RCPT, 550, "<anna@leads.example>: Mailbox does not exist"),
    ),
    *_of(
        "qmail",
        (RCPT, 550, "sorry, no mailbox here by that name (#5.1.1)"),
        (RCPT, 511, "sorry, no mailbox here by that name (#5.1.1 - chkuser)"),
    ),
    *_of(
        "https://support.google.com/a/answer/3726730",
        (
            RCPT,
            550,
            "5.1.1 The email account that you tried to reach does not exist. Please try\n5.1.1 double-checking the"
            " recipient's email address for typos or\n5.1.1 unnecessary spaces. For more information, go to\n5.1.1 "
            " https://support.google.com/mail/?p=NoSuchUser a1-20020a170906 - gsmtp",
        ),
        (
            RCPT,
            550,
            "5.2.1 The email account that you tried to reach is disabled. https://support.google.com/mail/?p=DisabledUser",
        ),
        (RCPT, 550, "5.2.1 The email account that you tried to reach is inactive."),
    ),
    *_of(
        "https://learn.microsoft.com, non-delivery reports in Exchange Online",
        (
            RCPT,
            550,
            "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient anna@leads.example not found by SMTP address lookup",
        ),
        (RCPT, 550, "5.1.1 RESOLVER.ADR.RecipNotFound; not found"),
        (DOT, 550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found"),
        (
            RCPT,
            550,
            "5.4.1 Recipient address rejected: Access denied. AS(201806281) [DB5EUR03FT034.eop-EUR03]",
        ),
    ),
    *_of(
        "https://pomoc.poczta.interia.pl",
        (RCPT, 550, "5.1.1 Account not found"),
        (RCPT, 550, "5.2.1 Mailbox not available"),
    ),
    *_of(
        "https://help.lws-hosting.com/pl, https://sare.pl/baza-wiedzy",
        (RCPT, 550, "Nie ma takiego użytkownika"),
        (RCPT, 550, "5.1.1 Użytkownik nieznany"),
        (RCPT, 550, "Nie znaleziono użytkownika"),
        (RCPT, 550, "Podany adres odbiorcy nie istnieje"),
        (RCPT, 550, "Skrzynka anna@leads.example nie istnieje"),
        (RCPT, 550, "5.1.1 Konto nie istnieje"),
        (RCPT, 550, "Nieprawidlowy odbiorca"),
        (DOT, 550, "5.2.1 Konto odbiorcy jest nieaktywne"),
    ),
    *_of(
        "https://www.dbmailserver.com/tui-xin-address-not-exist.htm, eNichers/node-bounce-handler",
        (RCPT, 550, "Mailbox not found"),
        (RCPT, 550, "User not found: 12345@leads.example"),
        (RCPT, 551, "5.1.1 recipient is not exist"),
        (RCPT, 550, "Local User [anna@leads.example] not found."),
        (RCPT, 550, "no such user: anna@leads.example"),
        (RCPT, 550, "RC:NE The email account does not exist."),
        (
            RCPT,
            554,
            "delivery error: dd This user doesn't have a yahoo.com account (anna@leads.example) [-5] - mta155.mail",
        ),
        (RCPT, 550, "Invalid recipient anna@leads.example"),
        (RCPT, 550, "Addressee unknown"),
        (RCPT, 550, "not a valid mailbox"),
        (RCPT, 550, "No such person at this address"),
        (RCPT, 550, "Unknown local part anna in <anna@leads.example>"),
        (DATA, 550, "5.1.1 no such recipient"),
    ),
    *_of(
        "eNichers/node-bounce-handler, other languages",
        (RCPT, 550, "Destinatario sconosciuto"),
        (RCPT, 550, "Empfänger unbekannt"),
        (RCPT, 550, "5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR204_416"),
    ),
    *_of(
        "sisimai/rb-sisimai, lib/sisimai/reason/userunknown.rb; sendmail's access_db",
        (RCPT, 553, "5.3.0 <anna@leads.example>... Addressee unknown, relay=[203.0.113.9]"),
        (RCPT, 550, "5.1.1 unknown or illegal alias: anna@leads.example"),
        (RCPT, 550, "invalid or unknown virtual user"),
        (RCPT, 550, "There is no one at this address"),
        (RCPT, 550, "address not present in directory"),
        (RCPT, 550, "is not an active address at this host"),
        (RCPT, 550, "no mail box available for this user"),
        (RCPT, 550, "Mailbox not found (in reply to RCPT TO command)"),
        (RCPT, 550, "no existe dicha persona"),
        (RCPT, 550, "nessun utente simile in questo indirizzo"),
    ),
    *_of(
        "ActiveCampaign/smtp-field-manual, data/codes",
        (
            RCPT,
            554,
            "delivery error: dd Sorry, your message to anna@leads.example cannot be delivered. Mailbox is disabled",
        ),
        (RCPT, 550, "The email account that you tried to reach is disabled"),
        (RCPT, 550, "5.1.1 <anna@leads.example> is not a valid mailbox; connection closed"),
        (RCPT, 550, "Recipient domain not found"),
    ),
    *_of("RFC 3463 section 3.2", (RCPT, 551, "5.1.6 the mailbox has moved, no forwarding address")),
    *_of(
        "in our words: only the message is the client's",
        (RCPT, 550, "5.1.1 Twoja wiadomość nie została dostarczona: nie ma takiego konta"),
        (RCPT, 550, "5.1.1 Państwa wiadomość: skrzynka odbiorcy nie istnieje"),
        (RCPT, 550, "5.1.1 Państwa adresat nie istnieje"),
        (RCPT, 550, "5.1.1 Ihre Nachricht: dieses Postfach existiert nicht"),
        (RCPT, 550, "5.1.1 User unknown. Please check your address book"),
        (RCPT, 550, "5.1.1 nie ma takiego abonenta: nieznany odbiorca"),
    ),
]

MESSAGE = [
    *_of(
        "https://support.google.com/a/answer/3726730",
        (
            DOT,
            552,
            "5.7.0 This message was blocked because its content presents a potential\n5.7.0 security issue. - gsmtp",
        ),
    ),
    *_of(
        "amavis, clamav-milter, cPanel, https://blog.sina.com.cn/s/blog_8dc13ec50101fxxr.html",
        (DOT, 554, "5.7.0 Reject, id=28319-01 - INFECTED: Eicar-Test-Signature"),
        (DOT, 550, "5.7.1 virus Eicar-Test-Signature found by ClamAV"),
        (DOT, 552, "Virus found."),
        (DOT, 550, "This message contains an attachment of a type that is not allowed (.exe)"),
    ),
    *_of(
        "RFC 3463 section 3.7, https://libsisimai.org/en/reason",
        (DOT, 554, "5.6.1 Eight bit data not allowed"),
        (DOT, 550, "5.6.9 improper use of 8-bit data in message header"),
        (DOT, 554, "5.6.0 Invalid MIME"),
        (RCPT, 552, "5.2.3 Message size exceeds the maximum that this recipient takes"),
    ),
]

TOO_LARGE = _of(
    "postfix, exim, PHPMailer/PHPMailer#98",
    (MAIL, 552, "5.3.4 Message size exceeds fixed limit"),
    (DOT, 552, "5.3.4 Error: message file too big"),
    (DOT, 552, "Message size exceeds maximum permitted"),
    (MAIL, 552, "Message too large"),
    (DOT, 552, "#5.3.4 message size exceeds limit"),
)

WAITS_FOR_ITS_RECIPIENT = [
    *_of(
        "https://support.google.com/a/answer/3726730",
        (RCPT, 452, "4.2.2 The email account that you tried to reach is over quota."),
        (RCPT, 552, "5.2.2 The email account that you tried to reach is over quota and inactive."),
        (RCPT, 450, "4.2.1 The user you are trying to contact is receiving mail too quickly."),
        (
            RCPT,
            550,
            "5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages",
        ),
    ),
    *_of(
        "https://support.forpsi.com/kb/a3302, dovecot, twisted1919/bounce-handler",
        (RCPT, 552, "5.1.1 5.2.2 sorry, final recipient mailbox is full (chkuser)"),
        (RCPT, 552, "5.2.2 <anna@leads.example> Quota exceeded (mailbox for user is full)"),
        (RCPT, 552, "Requested mail action aborted: mailbox full"),
        (RCPT, 550, "Skrzynka odbiorcy jest przepełniona"),
    ),
    *_of(
        "postgrey, milter-greylist, https://www.spam-mail-blocker.de/greylisted.html",
        (
            RCPT,
            450,
            "4.2.0 <anna@leads.example>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help",
        ),
        (RCPT, 451, "4.7.1 Greylisting in action, please come back later"),
        (RCPT, 450, "4.2.0 Sender address rejected: Greylisted for 300 sec."),
        (RCPT, 450, "4.1.1 <anna@leads.example>: Recipient address rejected: User unknown in local recipient table"),
    ),
    *_of("Exchange Online", (DOT, 432, "4.3.2 STOREDRV.Deliver; recipient thread limit exceeded")),
]

MAILBOX = [
    *_of(
        "https://support.google.com/a/answer/3726730",
        (DOT, 550, "5.4.5 Daily SMTP relay limit exceeded for user."),
        (RCPT, 450, "4.2.1 Peak SMTP relay limit exceeded for customer."),
        (DATA, 550, "5.7.1 Daily SMTP relay limit exceeded for customer."),
        (DOT, 550, "5.7.26 Unauthenticated email is not accepted due to domain's DMARC policy."),
        (RCPT, 450, "4.7.28 Our system has detected an unusual rate of unsolicited mail"),
        (MAIL, 530, "5.7.0 Authentication Required."),
    ),
    *_of(
        "Exchange Online, MicrosoftDocs/OfficeDocs-Exchange#2729",
        (DOT, 554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message"),
        (DOT, 554, "5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Failed to process message"),
        (DOT, 554, "5.2.252 SendAsDenied; ola@sender.example not allowed to send as ania@sender.example"),
        (DOT, 550, "5.1.8 Access denied, bad outbound sender AS(41a)"),
        (DOT, 550, "5.1.90 Your message can't be sent because you've reached your daily limit for message recipients"),
        (DOT, 550, "5.7.705 Access denied, tenant has exceeded threshold"),
        (DOT, 550, "5.7.708 Access denied, traffic not accepted from this IP"),
        (DOT, 550, "5.7.501 Access denied, spam abuse detected"),
        (DOT, 432, "4.3.2 Concurrent connections; sender thread limit exceeded"),
    ),
    *_of(
        "go-gomail/gomail#174, deltachat/deltachat-core#647, root-io/vmail#67, gophish/gophish#3231",
        (RCPT, 554, "5.7.1 <anna@leads.example>: Recipient address rejected: Email Sending Quota Exceeded"),
        (
            DATA,
            554,
            "5.7.1 <DATA>: Data command rejected: limit of 400 rcpts per 24 hours for client ola@x.example reached",
        ),
        (DATA, 554, "5.7.1 <DATA>: Data command rejected: only 10 messages per day"),
        (DOT, 550, "spam mail rejected: exceeded hour limit"),
    ),
    *_of(
        "freescout-help-desk/freescout#4005, nodemailer/nodemailer#1137, aschroder/Magento-SMTP-Pro-Email-Extension#94",
        (RCPT, 554, "5.7.1 Reached address outgoing limits for ola@sender.example"),
        (
            DOT,
            554,
            "5.7.1 User ola@sender.example has exceeded its 24-hour sending limit. Messages to 25 recipients out of 25",
        ),
        (DOT, 550, "sorry, too many emails (#5.7.1)"),
    ),
    *_of(
        "cPanel, https://www.inmotionhosting.com",
        (
            RCPT,
            550,
            "Domain sender.example has exceeded the max emails per hour (151/150 (100%)) allowed. Message discarded.",
        ),
        (
            RCPT,
            550,
            "5.1.1 Domain sender.example has exceeded the max defers and failures per hour (5/5 (100%)) allowed.",
        ),
        (DOT, 451, "4.7.1 Hourly limit exceeded"),
        (RCPT, 550, "User has exceeded outgoing email quota"),
    ),
    *_of(
        "mailcow/mailcow#253, splitbrain/dokuwiki-plugin-smtp#38, https://support.konto.pl/kb/a2164",
        (RCPT, 553, "5.7.1 <ola@sender.example>: Sender address rejected: not owned by user ola"),
        (DOT, 550, "5.1.0 <ola@sender.example> sender rejected"),
    ),
    *_of(
        "https://www.iq.pl/pomoc/13/140",
        (RCPT, 550, "Godzinny limit wiadomosci wysylanych przez konto zostal przekroczony"),
        (DOT, 554, "Przekroczono dzienny limit wysyłki"),
        (RCPT, 550, "5.1.1 Przekroczono limit wiadomości wychodzących"),
    ),
]

# In our words: something is missing or ended beside a person, and it is not that person.
NOT_THE_PERSON_IS_MISSING = _of(
    "what a server has against a login, its rights or its domain, without a code of its own",
    (RCPT, 550, "User does not have permission to use this server"),
    (DOT, 550, "No permission for user"),
    (RCPT, 550, "Invalid password for user"),
    (RCPT, 550, "bad credentials for account"),
    (RCPT, 550, "No more recipients today"),
    (RCPT, 554, "5.0.0 no funds for user"),
    (RCPT, 550, "No valid MX record for domain"),
    (RCPT, 550, "invalid certificate for domain"),
    (DOT, 554, "Invalid signature for domain"),
    (DOT, 550, "Mail for this user is disabled"),
    (DOT, 550, "SMTP for this domain is disabled"),
    (DOT, 550, "5.5.0 SMTP account is disabled"),
    (DOT, 550, "user ola: account expired, mail is disabled"),
    (RCPT, 550, "account is disabled, contact support"),
    (RCPT, 550, "the account was deactivated, please pay the invoice"),
    (RCPT, 554, "konto zawieszone - nieopłacona faktura, konto nieaktywne"),
    (RCPT, 550, "5.1.1 Uzytkownik nie jest zalogowany"),
    (RCPT, 550, "Benutzer nicht angemeldet, unbekannt"),
    (RCPT, 550, "the e-mail address you send as is not valid"),
    (RCPT, 550, "address in MAIL command does not exist"),
    (DOT, 550, "envelope address does not exist"),
    (DOT, 550, "reply-to address is invalid"),
)

# In our words. "You" is the client, which is the sender's server.
YOURS = _of(
    "what a server has against its client's own account, domain or address, with a code that is about an address",
    (RCPT, 550, "5.2.1 Twoje konto zostało wyłączone"),
    (RCPT, 550, "5.2.1 Dostęp do Twojego konta pocztowego został wyłączony"),
    (RCPT, 550, "5.1.1 Twoja skrzynka nie istnieje"),
    (RCPT, 550, "5.2.1 Państwa skrzynka pocztowa jest nieaktywna"),
    (RCPT, 550, "Twoja skrzynka nie istnieje"),
    (RCPT, 550, "5.1.2 Twoja domena nie istnieje"),
    (RCPT, 550, "5.2.1 your mailbox is disabled"),
    (RCPT, 550, "5.2.1 your e-mail account is disabled"),
    (RCPT, 550, "5.2.1 your mail service is disabled"),
    (RCPT, 550, "5.1.6 your mailbox has moved to a new server"),
    (RCPT, 550, "5.1.1 address not confirmed; confirm your address first"),
    (RCPT, 550, "5.2.1 Ihr Konto wurde deaktiviert"),
    (RCPT, 550, "5.2.1 Ihrem Postfach fehlt die Freigabe"),
    (RCPT, 550, "5.2.1 Votre compte est désactivé"),
    (RCPT, 550, "5.2.1 Votre boîte est désactivée"),
    (RCPT, 550, "5.2.1 Su cuenta ha sido desactivada"),
    (RCPT, 550, "5.2.1 Tu buzón ha sido desactivado"),
    (RCPT, 550, "5.2.1 La tua casella è stata disattivata"),
    (RCPT, 550, "5.1.3 invalid return address"),
    (RCPT, 550, "5.1.1 bounce address does not exist"),
    (RCPT, 550, "5.1.1 reverse path not found"),
    (RCPT, 550, "5.1.1 Reverse-Path: unknown user"),
    (RCPT, 550, "5.1.2 Domena wygasła"),
    (RCPT, 550, "5.1.2 Hosting wygasł"),
    (RCPT, 550, "5.1.2 hosting account suspended"),
    (RCPT, 550, "5.2.1 Mailbox disabled, contact hosting"),
    (RCPT, 550, "5.2.1 Usługa poczty nieaktywna - brak opłaty abonamentu"),
    (RCPT, 550, "5.2.1 mail service is disabled for this account"),
    (RCPT, 550, "5.2.1 daily allowance used up, account disabled until tomorrow"),
    (RCPT, 550, "5.2.1 Konto nieopłacone"),
    (RCPT, 550, "5.2.1 User is not active, pay the bill"),
    (RCPT, 550, "5.2.1 Konto deaktiviert, bitte Rechnung bezahlen"),
    (RCPT, 550, "5.2.1 Compte désactivé, facture impayée"),
)

UNCLEAR = [
    *NOT_THE_PERSON_IS_MISSING,
    *YOURS,
    *_of(
        "https://support.konto.pl/kb/a2765, https://support.konto.pl/kb/a2164",
        (DOT, 550, "5.1.0 cNkj1y0022zrrQM01NkjaD policy violation, see https://support.forpsi.com/kb/a4081"),
        (DOT, 550, "5.1.0 piWs1j0010jifNx01iWsdh spam detected"),
        (RCPT, 550, "5.1.1 <anna@leads.example> sender is blocklisted"),
        (DOT, 550, "5.1.0 0bcW1i00G0jifNx01bcmHa blocked by SPF"),
    ),
    *_of(
        "https://pomoc.poczta.interia.pl",
        (RCPT, 550, "5.7.1 Recipient doesn't want your mail"),
        (RCPT, 550, "5.7.0 [SPF] host 203.0.113.9 is not allowed to send mail from sender.example"),
    ),
    *_of(
        "postfix smtpd_delay_reject: what it has against client and sender, told at RCPT",
        (RCPT, 554, "5.7.1 Service unavailable; Client host [203.0.113.9] blocked using zen.spamhaus.org"),
        (RCPT, 554, "5.7.1 <anna@leads.example>: Relay access denied"),
        (RCPT, 554, "5.7.1 <anna@leads.example>: Recipient address rejected: Access denied"),
        (RCPT, 450, "4.1.8 <ola@sender.example>: Sender address rejected: Domain not found"),
        (RCPT, 550, "5.7.25 Client host rejected: cannot find your reverse hostname"),
        (RCPT, 504, "5.5.2 <host>: Helo command rejected: need fully-qualified hostname"),
        (DOT, 550, "5.7.1 Command rejected"),
    ),
    *_of(
        "jstedfast/MailKit#968, RFC 5321 section 4.2.3: 550 also stands for policy",
        (RCPT, 550, "Requested action not taken: mailbox unavailable\nSending failed. Please try again later"),
        (RCPT, 550, "Requested action not taken: mailbox unavailable"),
        (RCPT, 550, "5.5.0 Requested action not taken: mailbox unavailable (S2017062302)."),
        (RCPT, 550, "#5.1.0 Address rejected."),
        (RCPT, 550, ""),
        (DOT, 554, ""),
        (RCPT, 451, ""),
        (DOT, 554, "Transaction failed"),
    ),
    *_of(
        "PHPMailer/PHPMailer#1187, exim",
        (RCPT, 550, "Verification failed for <ola@sender.example>\nNo Such User Here\nSender verify failed"),
        (RCPT, 550, "relay not permitted"),
        (RCPT, 550, "5.7.1 Unable to relay for anna@leads.example"),
    ),
    *_of(
        "homematic-community/hm_email#13, cachethq/cachet#3052, ActiveCampaign/smtp-field-manual#60",
        (
            DOT,
            554,
            "Transaction failed\nReject due to policy restrictions.\nFor explanation visit https://www.ionos.com/help",
        ),
        (DOT, 550, "5.4.6 Unusual sending activity detected."),
        (
            RCPT,
            550,
            "mwinf5c14 ME Adresse IP source bloquee pour incident de spam. Client host blocked for spamming issues.",
        ),
        (
            RCPT,
            553,
            "Mail from 192.0.2.2 not allowed - 5.7.1 [BL23] Connections not accepted from addresses on Spamhaus XBL;",
        ),
    ),
    *_of(
        "https://www.kei.pl/pomoc/wiadmosc-zwrotna, rspamd, SES, mail.ru, Exchange edge",
        (DOT, 550, "5.7.1 Our system has detected that this message is likely unsolicited mail."),
        (DOT, 451, "4.7.1 Rspamd: content filter is away"),
        (
            DOT,
            554,
            "Message rejected: Email address is not verified. These identities failed the check in region EU-WEST-1",
        ),
        (DOT, 550, "spam message rejected. Please visit http://help.mail.ru/notspam-support"),
        (RCPT, 550, "5.4.1 Recipient address rejected: Access denied"),
        (RCPT, 554, "5.7.1 unknown domain or unknown recipient (LDAP check)"),
        (RCPT, 550, "black ip."),
        (DOT, 552, "5.2.0 0biL1i00V1cmcpM01biL4w spam detected"),
    ),
    *_of(
        "sisimai/rb-sisimai, lib/sisimai/reason and rhost; ActiveCampaign/smtp-field-manual: spam beside other words",
        (DOT, 552, "Message rejected for spam or virus content"),
        (DOT, 554, "5.7.1 Message was rejected for possible spam/virus content"),
        (DOT, 554, "5.2.3 MailPolicy violation Error delivering to mailboxes"),
        (DOT, 554, "5.6.0 Message refused, your IP has a bad reputation"),
        (RCPT, 550, "5.1.1 message filtered"),
        (RCPT, 550, "5.1.1 Message rejected because of unacceptable content"),
        (RCPT, 550, "5.1.1 Emetteur invalide"),
        (RCPT, 550, "Mittente sconosciuto: destinatario sconosciuto"),
        (RCPT, 550, "5.1.1 you are using a mass mailer"),
        (RCPT, 550, "5.1.1 please try again slower"),
        (RCPT, 521, "5.2.1 AOL will not accept delivery of this message"),
    ),
    *_of(
        "sisimai/rb-sisimai, lib/sisimai/reason/{blocked,rejected}.rb: the sender has a domain and an account too",
        (RCPT, 550, "Domain does not exist"),
        (DATA, 503, "no valid recipients"),
        (RCPT, 502, "5.1.1 unknown user"),
        (RCPT, 550, "5.1.0 Unknown domain"),
        (DOT, 550, "invalid domain, see https://rejected.example/"),
        (RCPT, 550, "Account disabled"),
        (DOT, 550, "User is inactive"),
        (RCPT, 550, "Konto nieaktywne"),
    ),
]
