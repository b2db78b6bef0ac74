using System.Management.Automation;
using LightTunnel.Diagnostics;

namespace LightTunnel;

/// <summary>Makes every error record of the module: the ErrorId is the name of the <see cref="LightTunnelError"/>.</summary>
internal static class ErrorRecords
{
    public static ErrorRecord From(Exception exception, object? target)
    {
        LightTunnelException error = exception as LightTunnelException ?? Unexpected(exception);
        // A value that was refused is named in its error; a secret that stood in the wrong place must not be.
        string named = $"{error.Message} {error.RecommendedAction} {error.Target} {target}";
        if (SecretText.Hide(named) != named)
        {
            error = new LightTunnelException(error.Error, SecretText.Hide(error.Message), SecretText.Hide(error.RecommendedAction));
            target = null;
        }

        return new ErrorRecord(error, error.Error.ToString(), CategoryOf(error.Error), error.Target ?? target)
        {
            ErrorDetails = new ErrorDetails(error.Message) { RecommendedAction = error.RecommendedAction },
        };
    }

    public static LightTunnelException NotFound(string what, string name, string remedy) =>
        new(LightTunnelError.NotFound, $"There is no {what} '{name}' on this machine.", remedy) { Target = name };

    internal static ErrorCategory CategoryOf(LightTunnelError error) => error switch
    {
        LightTunnelError.InvalidAddress or LightTunnelError.InvalidEndpoint or LightTunnelError.InvalidKey
            or LightTunnelError.InvalidInvitation
            or LightTunnelError.InvalidName or LightTunnelError.InvalidOption => ErrorCategory.InvalidArgument,
        LightTunnelError.InvalidConfiguration or LightTunnelError.InvalidState => ErrorCategory.InvalidData,
        LightTunnelError.InvitationExpired or LightTunnelError.InvitationRefused => ErrorCategory.AuthenticationError,
        LightTunnelError.FileAccess => ErrorCategory.OpenError,
        LightTunnelError.StateInUse or LightTunnelError.PortInUse or LightTunnelError.AddressInUse => ErrorCategory.ResourceBusy,
        LightTunnelError.InterfaceNameInUse or LightTunnelError.NameInUse or LightTunnelError.AddressTaken or LightTunnelError.IdentityInUse
            or LightTunnelError.AlreadyJoined => ErrorCategory.ResourceExists,
        LightTunnelError.PrivilegeRequired => ErrorCategory.PermissionDenied,
        LightTunnelError.TunUnavailable => ErrorCategory.NotInstalled,
        LightTunnelError.NameResolutionFailed or LightTunnelError.NotFound => ErrorCategory.ObjectNotFound,
        LightTunnelError.ServerUnreachable or LightTunnelError.NetworkUnavailable => ErrorCategory.ConnectionError,
        LightTunnelError.AddressPoolExhausted or LightTunnelError.ServerFull => ErrorCategory.LimitsExceeded,
        LightTunnelError.ServerRefused or LightTunnelError.PrefixNotAgreed or LightTunnelError.UntrustedFile
            or LightTunnelError.InvalidSignature or LightTunnelError.NotSigned => ErrorCategory.SecurityError,
        LightTunnelError.TimedOut or LightTunnelError.NotAnswering => ErrorCategory.OperationTimeout,
        LightTunnelError.Stopped or LightTunnelError.NotNeeded => ErrorCategory.InvalidOperation,
        LightTunnelError.ServiceManagerUnavailable or LightTunnelError.ForwardingUnavailable => ErrorCategory.NotInstalled,
        LightTunnelError.ServiceFailed => ErrorCategory.OperationStopped,
        _ => ErrorCategory.InvalidResult,
    };

    private static LightTunnelException Unexpected(Exception exception) => new(
        LightTunnelError.Internal,
        $"LightTunnel failed unexpectedly: {exception.Message}",
        "Report it together with $Error[0].Exception.InnerException and the tunnel's log (Get-LtLog).",
        exception);
}
