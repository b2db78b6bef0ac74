using LightTunnel.Diagnostics;

namespace LightTunnel.WindowsNetwork;

/// <summary>What it means when Windows's firewall or its list of networks refuses something, and what to do about it.</summary>
internal static class WindowsTrouble
{
    // HRESULTs of winerror.h.
    internal const int AccessDenied = unchecked((int)0x80070005), ServiceDisabled = unchecked((int)0x80070422),
        ServiceNotActive = unchecked((int)0x80070426), RpcUnavailable = unchecked((int)0x800706BA),
        NoEndpoints = unchecked((int)0x800706D9), NotRegistered = unchecked((int)0x80040154), NotImplemented = unchecked((int)0x80004001);

    /// <summary>One or two sentences: the reason, and the remedy.</summary>
    /// <param name="exception">What a call threw.</param>
    /// <param name="service">The service that answers such calls: "mpssvc" for the firewall, "netprofm" for networks.</param>
    public static string Explain(Exception exception, string service) => exception is LightTunnelException known
        ? $"{known.Message} {known.RecommendedAction}"
        : exception.HResult switch
        {
            AccessDenied => "Windows denies it: a group policy, or a security program, decides about this. Ask who manages this machine.",
            NoEndpoints or ServiceDisabled or ServiceNotActive or RpcUnavailable =>
                $"The service '{service}' does not run. 'Start-Service {service}' starts it.",
            NotRegistered or NotImplemented => "This Windows has no such function. It has to be done by hand, if at all.",
            _ => $"{SystemError.Describe(Code(exception.HResult), exception.Message)}.",
        };

    /// <summary>The Win32 error within an HRESULT, if it is one, as such numbers are looked up.</summary>
    private static int Code(int result) => (result & 0xFFFF0000) == 0x80070000 ? result & 0xFFFF : result;
}
