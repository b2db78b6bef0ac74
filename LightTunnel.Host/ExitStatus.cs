namespace LightTunnel.Host;

/// <summary>How the process ended, as service managers and scripts see it. Numbers of BSD's sysexits.h where it has one.</summary>
internal enum ExitStatus
{
    /// <summary>In order: by a signal, or by Stop-LtServer or Disconnect-LtNetwork.</summary>
    Stopped = 0,

    /// <summary>Something that may be different at another time; to be tried again.</summary>
    Failed = 1,

    /// <summary>To be started anew at once, for a newer version is there (EX_TEMPFAIL).</summary>
    Restart = 75,

    /// <summary>The configuration is wrong, and stays wrong until somebody changes it (EX_CONFIG).</summary>
    Configuration = 78,
}
