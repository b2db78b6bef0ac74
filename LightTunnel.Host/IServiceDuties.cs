namespace LightTunnel.Host;

/// <summary>What a service does itself where its manager does less than systemd.</summary>
internal interface IServiceDuties
{
    /// <summary>Takes the newest version that is there.</summary>
    /// <returns>True when the process is to be started anew with it.</returns>
    bool TakeUpdate();

    /// <summary>Tells how the service ends, when all of it is taken down.</summary>
    /// <param name="status">How.</param>
    /// <param name="words">Its last words about what went wrong; null for none.</param>
    void End(ExitStatus status, string? words);
}
